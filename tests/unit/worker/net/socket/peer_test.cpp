#include "worker/net/socket/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

sockaddr_storage ipv4(const char* text) {
  sockaddr_storage address{};
  auto& ip = reinterpret_cast<sockaddr_in&>(address);
  ip.sin_family = AF_INET;
  ip.sin_port = htons(4711);
  REQUIRE(::inet_pton(AF_INET, text, &ip.sin_addr) == 1);
  return address;
}

sockaddr_storage ipv6(const char* text) {
  sockaddr_storage address{};
  auto& ip = reinterpret_cast<sockaddr_in6&>(address);
  ip.sin6_family = AF_INET6;
  ip.sin6_port = htons(4711);
  REQUIRE(::inet_pton(AF_INET6, text, &ip.sin6_addr) == 1);
  return address;
}

}  // namespace

TEST_CASE("a peer has its address as text, its port, and whether it is this machine") {
  for (const char* text : {"0.0.0.0", "127.0.0.1", "192.168.10.99", "255.255.255.255"}) {
    const Peer peer = peer_of(ipv4(text), false);
    CHECK(peer.client.address == text);
    CHECK(peer.client.port == 4711);
    CHECK(peer.loopback == (std::string_view(text) == "127.0.0.1"));
  }
  for (const char* text : {"::1", "2001:db8::ff00:42:8329", "fe80::1"}) {
    const Peer peer = peer_of(ipv6(text), false);
    CHECK(peer.client.address == text);
    CHECK(peer.client.port == 4711);
    CHECK(peer.loopback == (std::string_view(text) == "::1"));
  }
}

TEST_CASE("an IPv4 client of an IPv6 listener has its IPv4 address") {
  const Peer peer = peer_of(ipv6("::ffff:127.1.2.30"), false);
  CHECK(peer.client.address == "127.1.2.30");
  CHECK(peer.client.port == 4711);
  CHECK(peer.loopback);
  CHECK_FALSE(peer_of(ipv6("::ffff:10.0.0.1"), false).loopback);
}

TEST_CASE("the IP address of a peer is the one that its text names") {
  for (const auto& address : {ipv4("192.168.10.99"), ipv6("2001:db8::ff00:42:8329"), ipv6("::ffff:127.1.2.30")}) {
    const auto ip = ip_of(address);
    REQUIRE(ip);
    CHECK(pronghorn::to_string(*ip) == peer_of(address, false).client.address);
  }
  CHECK_FALSE(ip_of({}));
}

TEST_CASE("a client of a Unix socket is this machine") {
  const Peer peer = peer_of({}, true);
  CHECK(peer.client.address == "unix");
  CHECK(peer.loopback);
  CHECK(peer.unix_socket);
}
