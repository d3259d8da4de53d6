#include "worker/guardian/unnoted.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <algorithm>

#include "worker/net/socket/socket_positions.h"

namespace pronghorn::worker {
namespace {

// Of the socket's own end; 0: it has none.
std::uint16_t local_port(int fd) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

}  // namespace

ListeningPorts::ListeningPorts(std::span<const InheritedListener> listeners) noexcept {
  for (const InheritedListener& listener : listeners) {
    const std::uint16_t port = local_port(listener.fd);
    if (port == 0 || contains(port) || count_ == ports_.size()) continue;
    ports_[count_++] = {port, listener.is_https};
    any_https_ = any_https_ || listener.is_https;
  }
}

bool ListeningPorts::contains(std::uint16_t port) const noexcept {
  const std::span known(ports_.data(), count_);
  return std::ranges::find(known, port, &Port::number) != known.end();
}

bool ListeningPorts::is_https(std::uint16_t port) const noexcept {
  const std::span known(ports_.data(), count_);
  const auto found = std::ranges::find(known, port, &Port::number);
  return found != known.end() && found->is_https;
}

Unnoted unnoted(int fd, const ListeningPorts& ports) noexcept {
  const std::uint16_t port = local_port(fd);
  if (port == 0 || !ports.contains(port)) return Unnoted::other;
  const auto positions = positions_of(fd);
  if (!positions || positions->broken) return Unnoted::other;  // a listener, for example
  return positions->read == 0 && positions->written == 0 ? Unnoted::newcomer : Unnoted::served;
}

bool speaks_tls(int fd, const ListeningPorts& ports) noexcept { return ports.is_https(local_port(fd)); }

int descriptors_end() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return static_cast<int>(std::min(limit.rlim_cur, rlim_t{kMostDescriptors}));
}

}  // namespace pronghorn::worker
