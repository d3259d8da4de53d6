// The listening sockets of the server. The supervisor keeps them open until the server stops, so that the successor of
// a crashed worker serves the connections in its accept queue.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/fd.h"
#include "supervisor/listen/address.h"
#include "supervisor/listen/unix_socket.h"
#include "supervisor/system/service_manager.h"

namespace pronghorn::supervisor {

struct SocketOptions {
  bool ipv6_only = true;  // [::] takes no IPv4; an address without a host takes both in any case
  SocketFile unix_file;
  // From the service manager. Those that are bound to one of the addresses are taken out and used. Null: none; else it
  // must outlive the constructor.
  std::vector<PassedSocket>* passed = nullptr;
};

class Listeners {
 public:
  // One socket. With Balance::reuseport each slot has its own for each address; otherwise, for Unix sockets, and for a
  // socket that a socket unit of systemd passed, one socket per address serves all slots.
  struct Listener {
    std::size_t address = 0;            // index into addresses()
    std::optional<std::uint32_t> slot;  // empty: shared by all slots
    int fd = -1;                        // owned by Listeners
  };

  // Binds every address for slots 0 .. slots-1, and listens for the first `listening` (at least 1) of them. Throws
  // ConfigurationError when an address cannot be bound, also when another server listens on it, although SO_REUSEPORT
  // would allow sharing it. `option` is the option's name, for messages.
  Listeners(const std::vector<std::string>& addresses, Balance balance, std::uint32_t backlog, std::uint32_t slots,
            std::uint32_t listening, SocketOptions options = {}, const char* option = "listen");

  // What a new image of this program needs to take the sockets over, once.
  struct Adopted {
    std::vector<Address> addresses;
    std::vector<Listener> listeners;
    std::vector<bool> live;  // by slot
    std::vector<int> claims;
  };
  Listeners(Adopted adopted, Balance balance, std::uint32_t backlog, SocketFile unix_file);

  // Binds the sockets of the next slot, slots(). They do not listen until listen(slot). Does nothing when the slot has
  // sockets. The error is one line.
  [[nodiscard]] std::expected<void, std::string> add_slot(std::uint32_t slot);
  // Whether the limit of descriptors (RLIMIT_NOFILE) allows so many workers, each of which inherits every listening
  // socket. The error is one line.
  [[nodiscard]] std::expected<void, std::string> check_room(std::uint32_t workers) const;
  // Closes the sockets of slots `slots` and above that have never listened. Those below a slot that has stay open.
  void drop_unused(std::uint32_t slots) noexcept;
  // Makes the slot's sockets listen. They stay so until close(): connections may be waiting in their queues.
  void listen(std::uint32_t slot) noexcept;
  // Binds each Unix socket again whose file somebody has deleted. Returns the new listeners; workers that run accept
  // from the old ones. The errors are lines about those that cannot be bound; the old socket then stays.
  struct Restored {
    std::vector<Listener> listeners;
    std::vector<std::string> errors;
  };
  [[nodiscard]] Restored restore_files();
  // True if the slot has sockets of its own, and they listen.
  [[nodiscard]] bool live(std::uint32_t slot) const noexcept { return has_own_ && slot < live_.size() && live_[slot]; }

  [[nodiscard]] const std::vector<Listener>& all() const noexcept { return listeners_; }
  [[nodiscard]] const std::vector<Address>& addresses() const noexcept { return addresses_; }
  // Slots 0 .. slots()-1 have sockets.
  [[nodiscard]] std::uint32_t slots() const noexcept { return static_cast<std::uint32_t>(live_.size()); }
  [[nodiscard]] Adopted handed_over() const;
  // The name under which the service manager keeps a listener. Passed back under this name, it becomes the same slot's.
  [[nodiscard]] static std::string stored_name(const Listener& listener);
  // Closes every socket and removes the files of Unix sockets. The server stops: new clients are refused instead of
  // left waiting.
  void close() noexcept;

 private:
  void bind_address(Address& address);
  void bind_unix(const Address& address);
  [[nodiscard]] bool adopt_passed(const Address& address);
  [[nodiscard]] bool has_listener(std::size_t address, std::uint32_t slot) const noexcept;
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
