#include "worker/net/socket/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>

namespace pronghorn::worker {
namespace {

// inet_ntop() prints through snprintf(), a seventh of the instructions of a connection that has one request.
std::string ipv4_text(const std::uint8_t* bytes) {
  char text[INET_ADDRSTRLEN];
  char* end = text;
  for (int i = 0; i < 4; ++i) {
    if (i > 0) *end++ = '.';
    end = std::to_chars(end, end + 3, bytes[i]).ptr;
  }
  return {text, end};
}

std::uint16_t port_of(const sockaddr_storage& address) noexcept {
  return ntohs(address.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                            : reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

}  // namespace

std::optional<IpAddress> ip_of(const sockaddr_storage& address) noexcept {
  IpAddress ip;
  if (address.ss_family == AF_INET) {
    ip.bits = 32;
    std::memcpy(ip.bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, sizeof(in_addr));
    return ip;
  }
  if (address.ss_family != AF_INET6) return std::nullopt;
  ip.bits = 128;
  std::memcpy(ip.bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, sizeof(in6_addr));
  return unmapped(ip);
}

Peer peer_of(const sockaddr_storage& address, bool is_unix) {
  Peer peer;
  if (is_unix || address.ss_family == AF_UNIX) {
    peer.client.address = "unix";
    peer.loopback = true;
    peer.unix_socket = true;
  } else if (const auto ip = ip_of(address)) {
    peer.client = {ip->bits == 32 ? ipv4_text(ip->bytes.data()) : to_string(*ip), port_of(address)};
    peer.loopback = is_loopback(*ip);
  }
  return peer;
}

}  // namespace pronghorn::worker
