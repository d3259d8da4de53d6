// Every listening socket of the server. The supervisor keeps them for its whole life, so that connections that wait in
// the queue of a crashed worker are served by its replacement.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "supervisor/listen/address.h"
#include "supervisor/listen/unix_socket.h"
#include "supervisor/system/fd.h"

namespace pronghorn::supervisor {

struct SocketOptions {
  bool ipv6_only = true;  // [::] takes no IPv4; an address without a host takes both
  SocketFile unix_file;
};

class Listeners {
 public:
  // One socket. A Unix socket has one for all slots, as has every address unless the balance is `reuseport`.
  struct Listener {
    std::size_t address = 0;            // index into addresses()
    std::optional<std::uint32_t> slot;  // empty: used by every slot
    int fd = -1;                        // owned by Listeners
  };

  // Binds every address, for slots 0 .. slots-1, and listens for the first `listening` (at least 1) of them. Throws
  // ConfigurationError when an address cannot be had: also when another server listens on it, although SO_REUSEPORT
  // would let us share. `option`: what messages call the addresses.
  Listeners(const std::vector<std::string>& addresses, Balance balance, std::uint32_t backlog, std::uint32_t slots,
            std::uint32_t listening, SocketOptions options = {}, const char* option = "listen");

  // What a new image of the program needs to take the sockets over. The image adopts each listener once.
  struct Adopted {
    std::vector<Address> addresses;
    std::vector<Listener> listeners;
    std::vector<bool> live;  // an entry for each slot
    std::vector<int> claims;
  };
  Listeners(Adopted adopted, Balance balance, std::uint32_t backlog);

  // Makes sockets for the next slot, slots(), bound but not listening: no connection comes before listen(slot). Nothing
  // happens when the slot has them. The error is one line.
  [[nodiscard]] std::expected<void, std::string> add_slot(std::uint32_t slot);
  // Whether the limit of descriptors (RLIMIT_NOFILE) has room for so many workers: every one of them inherits every
  // listening socket. The error is one line.
  [[nodiscard]] std::expected<void, std::string> check_room(std::uint32_t workers) const;
  // Closes the sockets of slots from `slots` on in whose queues no connection ever came; those before a slot that is
  // live stay.
  void drop_unused(std::uint32_t slots) noexcept;
  // From now on connections arrive in the slot's queues, for good.
  void listen(std::uint32_t slot) noexcept;
  // Connections can arrive in queues that are the slot's own.
  [[nodiscard]] bool live(std::uint32_t slot) const noexcept { return has_own_ && slot < live_.size() && live_[slot]; }

  [[nodiscard]] const std::vector<Listener>& all() const noexcept { return listeners_; }
  [[nodiscard]] const std::vector<Address>& addresses() const noexcept { return addresses_; }
  // The slots that have sockets: 0 .. slots()-1.
  [[nodiscard]] std::uint32_t slots() const noexcept { return static_cast<std::uint32_t>(live_.size()); }
  [[nodiscard]] Adopted handed_over() const;
  // The server is going: closes every socket, so that clients are refused instead of kept waiting, and removes the
  // files of Unix sockets.
  void close() noexcept;

 private:
  void bind_address(Address& address);
  void bind_unix(const Address& address);
  [[nodiscard]] std::expected<void, std::string> bind_slot(std::size_t address, std::optional<std::uint32_t> slot);

  std::string option_ = "listen";
  Balance balance_;
  int backlog_;
  SocketOptions options_;
  std::vector<Address> addresses_;
  std::vector<Listener> listeners_;
  std::vector<Fd> owned_;
  std::vector<UnixSocket> unix_sockets_;
  std::vector<Fd> claims_;  // see claim() in listeners.cpp
  std::vector<bool> live_;
  bool has_own_ = false;
};

}  // namespace pronghorn::supervisor
