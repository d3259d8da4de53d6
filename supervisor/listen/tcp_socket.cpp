#include "supervisor/listen/tcp_socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace pronghorn::supervisor {
namespace {

void set_option(int fd, int level, int option, int value) noexcept {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

}  // namespace

std::string explain(int error) {
  switch (error) {
    case EADDRINUSE:
      return "address already in use; stop the other server or choose another port";
    case EACCES:
      return "permission denied; use a port above 1023 or grant CAP_NET_BIND_SERVICE";
    case EADDRNOTAVAIL:
      return "this machine has no such address; use 127.0.0.1, or :PORT for every address";
    default:
      return std::strerror(error);
  }
}

void set_connection_options(int fd) noexcept {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

std::expected<Fd, std::string> bound_socket(const SocketAddress& address, bool reuse_port) {
  Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return std::unexpected(explain(errno));
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (reuse_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  set_connection_options(fd.get());
  if (address.storage.ss_family == AF_INET6) {
    set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, address.dual_stack ? 0 : 1);
  }
  if (::bind(fd.get(), address.get(), address.size) == 0) return fd;
  if (errno == EADDRINUSE && address.dual_stack) {
    return std::unexpected(
        "the port is already in use on IPv4 or IPv6, and this address takes both; stop the other server or choose "
        "another port");
  }
  return std::unexpected(explain(errno));
}

// With SO_REUSEPORT two servers that start at the same moment could both bind the port, because neither listens yet
// when the other probes. So whoever binds an abstract Unix socket with the address in its name owns the address: such a
// name belongs to the network namespace, as ports do, and is free again when the process ends.
std::expected<Fd, std::string> claim(const SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> host{};
  const bool is_v6 = address.storage.ss_family == AF_INET6;
  const void* ip = is_v6 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr)
                         : &reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_addr;
  ::inet_ntop(address.storage.ss_family, ip, host.data(), host.size());
  const std::string text = fmt::format("pronghorn listens on {} port {}", host.data(), port_of(address));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path + 1, text.data(), text.size());  // abstract: after a leading NUL
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0) {
    return std::unexpected(explain(errno));
  }
  return fd;
}

bool is_listening(int fd) noexcept {
  int type = 0;
  int listening = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
         ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

}  // namespace pronghorn::supervisor
