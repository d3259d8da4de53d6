#include "worker/net/socket/socket_positions.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "support/catch.h"
#include "support/clients/tcp_pair.h"
#include "support/eventually.h"

using namespace pronghorn::worker;
using namespace std::chrono_literals;
using pronghorn::test::TcpPair;

namespace {

void read_exactly(int fd, std::size_t size) {
  std::string bytes(size, '\0');
  REQUIRE(::recv(fd, bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size));
}

SocketPositions positions(int fd) {
  const auto found = positions_of(fd);
  REQUIRE(found);
  return *found;
}

}  // namespace

TEST_CASE("The kernel tells what the owner of a socket has read, whatever has arrived since") {
  TcpPair pair;
  CHECK(positions(pair.server).read == 0);
  pair.client_sends("hello world");
  CHECK(positions(pair.server).read == 0);
  read_exactly(pair.server, 5);
  CHECK(positions(pair.server).read == 5);
  pair.client_sends("more");
  CHECK(positions(pair.server).read == 5);
  read_exactly(pair.server, 10);
  CHECK(positions(pair.server).read == 15);
}

TEST_CASE("The kernel tells what the owner of a socket has written, whether or not the peer has read it") {
  TcpPair pair;
  const std::string bytes(100'000, 'x');
  REQUIRE(::send(pair.server, bytes.data(), bytes.size(), 0) == 100'000);
  CHECK(positions(pair.server).written == 100'000);
  read_exactly(pair.client, 100'000);
  CHECK(positions(pair.server).written == 100'000);
}

TEST_CASE("A peer that has shut its side down does not count as a byte that was read") {
  TcpPair pair;
  pair.client_sends("abc");
  ::shutdown(pair.client, SHUT_WR);
  REQUIRE(pronghorn::test::eventually(5s, [&] { return positions(pair.server).peer_closed; }));
  CHECK(positions(pair.server).read == 0);
  CHECK_FALSE(positions(pair.server).broken);
  read_exactly(pair.server, 3);
  CHECK(positions(pair.server).read == 3);
  char byte = 0;
  REQUIRE(::read(pair.server, &byte, 1) == 0);
  CHECK(positions(pair.server).read == 3);
}

TEST_CASE("A reset connection is broken") {
  TcpPair pair;
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  pair.close_client();
  CHECK(pronghorn::test::eventually(5s, [&] { return positions(pair.server).broken; }));
}

TEST_CASE("Descriptors that are no TCP sockets have no positions") {
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  CHECK_FALSE(positions_of(fds[0]));
  ::close(fds[0]);
  ::close(fds[1]);
  CHECK_FALSE(positions_of(-1));
  CHECK_FALSE(positions_of(STDOUT_FILENO));
}

TEST_CASE("The kernel tells how long bytes have waited, also after they were read") {
  TcpPair pair;
  pair.client_sends("request");
  REQUIRE(pronghorn::test::eventually(5s, [&] { return wait_of(pair.server).age >= 50ms; }));
  read_exactly(pair.server, 7);
  CHECK(wait_of(pair.server).age >= 50ms);
  CHECK(wait_of(pair.server).peer == PeerState::there);
  // More than once, as this process may be suspended between the two lines. The age of the first bytes only grows.
  CHECK(pronghorn::test::eventually(20s, [&pair] {
    pair.client_sends("another");
    return wait_of(pair.server).age < 50ms;
  }));
}

TEST_CASE("The kernel tells that the client has finished or reset the connection") {
  TcpPair pair;
  pair.client_sends("request");
  ::shutdown(pair.client, SHUT_WR);
  CHECK(pronghorn::test::eventually(5s, [&] { return wait_of(pair.server).peer == PeerState::finished; }));
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  pair.close_client();
  CHECK(pronghorn::test::eventually(5s, [&] { return wait_of(pair.server).peer == PeerState::gone; }));
}

TEST_CASE("A Unix socket tells whether the client is there, and not how long bytes have waited") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  CHECK(wait_of(ends[0]).peer == PeerState::there);
  CHECK_FALSE(wait_of(ends[0]).age);
  ::shutdown(ends[1], SHUT_WR);
  CHECK(wait_of(ends[0]).peer == PeerState::finished);
  ::close(ends[1]);
  CHECK(wait_of(ends[0]).peer == PeerState::gone);
  ::close(ends[0]);
}
