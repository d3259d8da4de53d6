#include "supervisor/listen/listeners.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "supervisor/listen/socket_address.h"
#include "supervisor/listen/tcp_socket.h"
#include "supervisor/system/exit_status.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::string_view kStoredPrefix = "pronghorn-slot-";

// The slot in a name of stored_name(). Empty: a socket for all slots.
std::optional<std::uint32_t> slot_in(std::string_view name) noexcept {
  std::uint32_t slot = 0;
  if (!name.starts_with(kStoredPrefix)) return std::nullopt;
  name.remove_prefix(kStoredPrefix.size());
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), slot);
  return error == std::errc{} && end == name.data() + name.size() ? std::optional(slot) : std::nullopt;
}

}  // namespace

std::string Listeners::stored_name(const Listener& listener) {
  return listener.slot ? fmt::format("{}{}", kStoredPrefix, *listener.slot) : "pronghorn";
}

Listeners::Listeners(const std::vector<std::string>& addresses, Balance balance, std::uint32_t backlog,
                     std::uint32_t slots, std::uint32_t listening, SocketOptions options, const char* option)
    : option_(option),
      balance_(balance),
      backlog_(static_cast<int>(std::min<std::uint32_t>(backlog, 1U << 20))),
      options_(std::move(options)) {
  for (const std::string& text : addresses) {
    auto address = parse_address(text);
    if (!address) throw ConfigurationError(fmt::format("{} {}: {}", option_, text, address.error()));
    bind_address(*address);
  }
  if (const auto room = check_room(slots); !room) throw ConfigurationError(room.error());
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    if (const auto added = add_slot(slot); !added) throw ConfigurationError(added.error());
  }
  for (std::uint32_t slot = 0; slot < std::min(listening, slots); ++slot) live_[slot] = true;
  std::erase_if(listeners_, [&](const Listener& listener) {  // passed, for a slot that there is no more
    if (!listener.slot || *listener.slot < slots) return false;
    std::erase_if(owned_, [&](const Fd& fd) { return fd.get() == listener.fd; });
    return true;
  });
  for (const Listener& listener : listeners_) {
    if (listener.slot && is_listening(listener.fd)) live_[*listener.slot] = true;
  }
  for (const Listener& listener : listeners_) {
    if (listener.slot.value_or(0) >= listening) continue;
    // listen() is the first call that fails when somebody has bound the address since our probe.
    if (::listen(listener.fd, backlog_) != 0) {
      throw ConfigurationError(fmt::format("{} {}: {}", option_, addresses_[listener.address].text, explain(errno)));
    }
  }
}

Listeners::Listeners(Adopted adopted, Balance balance, std::uint32_t backlog, SocketFile unix_file)
    : balance_(balance),
      backlog_(static_cast<int>(std::min<std::uint32_t>(backlog, 1U << 20))),
      options_{.unix_file = std::move(unix_file)},
      addresses_(std::move(adopted.addresses)),
      listeners_(std::move(adopted.listeners)),
      live_(std::move(adopted.live)) {
  for (const int fd : adopted.claims) claims_.emplace_back(fd);
  for (const Listener& listener : listeners_) {
    set_inheritable(listener.fd, false);
    const Address& address = addresses_[listener.address];
    if (address.is_unix) {
      unix_sockets_.emplace_back(address.path, Fd(listener.fd));
    } else {
      owned_.emplace_back(listener.fd);
    }
    if (listener.slot) has_own_ = true;
  }
}

Listeners::Adopted Listeners::handed_over() const {
  Adopted adopted{.addresses = addresses_, .listeners = listeners_, .live = live_, .claims = {}};
  for (const Fd& claimed : claims_) adopted.claims.push_back(claimed.get());
  return adopted;
}

// Makes sure that the address is free and determines its port. The sockets of slots are bound later.
void Listeners::bind_address(Address& address) {
  if (adopt_passed(address)) return;
  if (address.is_unix) return bind_unix(address);
  const auto resolved = resolve(address, options_.ipv6_only);
  if (!resolved) throw ConfigurationError(fmt::format("{} {}: {}", option_, address.text, resolved.error()));
  // Without SO_REUSEPORT, so that a port on which anybody listens is refused.
  auto probe = bound_socket(*resolved, false);
  auto claimed = probe ? claim(local_address(probe->get())) : std::unexpected(probe.error());
  // The kernel can give the same free port to two servers that ask at the same moment.
  for (int attempt = 1; address.port == 0 && probe && !claimed && attempt < 20; ++attempt) {
    probe = bound_socket(*resolved, false);
    if (probe) claimed = claim(local_address(probe->get()));
  }
  if (!claimed) throw ConfigurationError(fmt::format("{} {}: {}", option_, address.text, claimed.error()));
  claims_.push_back(std::move(*claimed));
  if (address.port == 0) {
    address.port = port_of(local_address(probe->get()));
    address.text = address.text.substr(0, address.text.rfind(':') + 1) + std::to_string(address.port);
  }
  addresses_.push_back(address);
  if (balance_ == Balance::reuseport) {
    has_own_ = true;
  } else if (const auto bound = bind_slot(addresses_.size() - 1, std::nullopt); !bound) {
    throw ConfigurationError(bound.error());
  }
}

// Uses the sockets that the service manager passed for this address. False: there is none.
bool Listeners::adopt_passed(const Address& address) {
  if (options_.passed == nullptr || options_.passed->empty() || (!address.is_unix && address.port == 0)) return false;
  const auto wanted = address.is_unix ? unix_address(address.path) : resolve(address, options_.ipv6_only);
  if (!wanted) return false;                                    // bind_address() says why
  if (address.is_unix && !file_id(address.path)) return false;  // nobody can connect to it any more
  const std::size_t index = addresses_.size();
  for (PassedSocket& socket : *options_.passed) {
    if (!socket.fd || !is_listening(socket.fd.get()) || !same_address(local_address(socket.fd.get()), *wanted))
      continue;
    const auto slot = balance_ == Balance::reuseport && !address.is_unix ? slot_in(socket.name) : std::nullopt;
    const bool first = std::ranges::find(listeners_, index, &Listener::address) == listeners_.end();
    if (!slot && !first) continue;  // one is enough for all slots
    ::fcntl(socket.fd.get(), F_SETFL, O_NONBLOCK);
    if (!address.is_unix) set_connection_options(socket.fd.get());
    listeners_.push_back({index, slot, socket.fd.get()});
    owned_.push_back(std::move(socket.fd));
    has_own_ = has_own_ || slot.has_value();
  }
  if (std::ranges::find(listeners_, index, &Listener::address) == listeners_.end()) return false;
  addresses_.push_back(address);
  if (address.is_unix) return true;
  auto claimed = claim(*wanted);
  if (!claimed) throw ConfigurationError(fmt::format("{} {}: {}", option_, address.text, claimed.error()));
  claims_.push_back(std::move(*claimed));
  return true;
}

bool Listeners::has_listener(std::size_t address, std::uint32_t slot) const noexcept {
  return std::ranges::any_of(listeners_, [&](const Listener& listener) {
    return listener.address == address && listener.slot.value_or(slot) == slot;
  });
}

void Listeners::bind_unix(const Address& address) {
  try {
    unix_sockets_.emplace_back(address.path, options_.unix_file, backlog_);
  } catch (const ConfigurationError& error) {
    throw ConfigurationError(option_ + " unix:" + error.what());
  }
  addresses_.push_back(address);
  listeners_.push_back({addresses_.size() - 1, std::nullopt, unix_sockets_.back().fd()});
}

std::expected<void, std::string> Listeners::bind_slot(std::size_t index, std::optional<std::uint32_t> slot) {
  const Address& address = addresses_[index];
  const auto fail = [this, &address](const std::string& why) {
    return std::unexpected(fmt::format("{} {}: {}", option_, address.text, why));
  };
  // Later slots use the address of the first socket: a name is resolved once, at start.
  const auto first = std::ranges::find(listeners_, index, &Listener::address);
  const auto resolved = first == listeners_.end() ? resolve(address, options_.ipv6_only) : local_address(first->fd);
  if (!resolved) return fail(resolved.error());
  auto fd = bound_socket(*resolved, slot.has_value());
  if (!fd) return fail(fd.error());
  listeners_.push_back({index, slot, fd->get()});
  owned_.push_back(std::move(*fd));
  return {};
}

std::expected<void, std::string> Listeners::add_slot(std::uint32_t slot) {
  if (slot < live_.size()) return {};
  if (has_own_) {
    for (std::size_t index = 0; index < addresses_.size(); ++index) {
      if (has_listener(index, slot)) continue;  // shared by all slots, or passed by the service manager
      // When a later address fails, the sockets of earlier ones stay bound without listening. The next attempt binds
      // them again, thanks to SO_REUSEPORT.
      if (auto bound = bind_slot(index, slot); !bound) {
        std::erase_if(listeners_, [slot](const Listener& listener) { return listener.slot == slot; });
        return bound;
      }
    }
  }
  live_.resize(slot + 1, false);
  return {};
}

std::expected<void, std::string> Listeners::check_room(std::uint32_t workers) const {
  constexpr std::uint64_t kOthers = 32;  // the supervisor's own, and the first connections of a worker
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  std::uint64_t needed = kOthers + 2ULL * workers;  // a channel for each, and one for its successor
  for (const Address& address : addresses_) needed += has_own_ && !address.is_unix ? workers : 1;
  if (needed <= limit.rlim_cur) return {};
  return std::unexpected(fmt::format(
      "workers {}: that needs {} descriptors and the limit is {}; use fewer workers, or raise the limit (ulimit -n, "
      "systemd: LimitNOFILE)",
      workers, needed, limit.rlim_cur));
}

void Listeners::drop_unused(std::uint32_t slots) noexcept {
  for (; live_.size() > slots && !live_.back(); live_.pop_back()) {
    const auto slot = static_cast<std::uint32_t>(live_.size() - 1);
    for (const Listener& listener : listeners_) {
      if (listener.slot == slot) std::erase_if(owned_, [&](const Fd& fd) { return fd.get() == listener.fd; });
    }
    std::erase_if(listeners_, [slot](const Listener& listener) { return listener.slot == slot; });
  }
}

void Listeners::listen(std::uint32_t slot) noexcept {
  if (slot >= live_.size() || live_[slot]) return;
  for (const Listener& listener : listeners_) {
    if (listener.slot == slot) ::listen(listener.fd, backlog_);
  }
  live_[slot] = true;
}

Listeners::Restored Listeners::restore_files() {
  Restored restored;
  for (Listener& listener : listeners_) {
    const Address& address = addresses_[listener.address];
    if (!address.is_unix || file_id(address.path)) continue;
    try {
      UnixSocket fresh(address.path, options_.unix_file, backlog_);
      const int old = std::exchange(listener.fd, fresh.fd());
      const auto own = std::ranges::find(unix_sockets_, old, &UnixSocket::fd);
      if (own != unix_sockets_.end()) {
        *own = std::move(fresh);
      } else {  // passed by the service manager
        unix_sockets_.push_back(std::move(fresh));
        std::erase_if(owned_, [old](const Fd& fd) { return fd.get() == old; });
      }
      restored.listeners.push_back(listener);
    } catch (const ConfigurationError& error) {
      restored.errors.push_back(fmt::format("{} unix:{}", option_, error.what()));
    }
  }
  return restored;
}

void Listeners::close() noexcept {
  for (UnixSocket& socket : unix_sockets_) socket.remove_file();
  listeners_.clear();
  unix_sockets_.clear();
  owned_.clear();
  claims_.clear();
}

}  // namespace pronghorn::supervisor
