// Talks to the service manager with systemd's notification protocol (sd_notify(3), sd_listen_fds(3)), which is one
// datagram per message and needs no library.
//
// Context: supervisor, main thread. Never blocks and never throws: a message that the manager does not take now waits
// for flush(). Without a manager every call does nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/fd.h"

namespace pronghorn::supervisor {

class ServiceManager {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  ServiceManager();

  // READY=1: the server serves, for the first time or again after reloading().
  void ready(std::string_view status);
  // RELOADING=1. ready() must follow, also if the reload fails.
  void reloading(std::string_view status);
  // STOPPING=1.
  void stopping(std::string_view status);
  // STATUS=: the line that `systemctl status` shows. Sends nothing if it has not changed.
  void status(std::string_view text);

  // WATCHDOG=1: the supervisor's loop turns. Call it every watchdog_period().
  void alive();
  // Half of the time after which the manager takes the server for hung; zero: it does not watch.
  [[nodiscard]] std::chrono::milliseconds watchdog_period() const noexcept { return watchdog_period_; }

  // FDSTORE=1: the manager keeps a duplicate of `fd`, and passes it to the next process if this one crashes.
  void keep(int fd, const std::string& name);
  // FDSTOREREMOVE=1: forgets every descriptor kept under `name`.
  void forget(const std::string& name);

  // Sends what waits. Call it about once a second.
  void flush();
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  struct Message {
    std::string text;
    Fd fd;  // with FDSTORE: a duplicate of its own
  };

  void send_state(std::string_view assignment, std::string_view status);
  void send(std::string text, Fd fd = {});
  [[nodiscard]] bool send_now(const Message& message) noexcept;

  std::string address_;  // of the socket, as in sun_path; empty: no manager
  Fd socket_;
  std::chrono::milliseconds watchdog_period_{0};
  std::deque<Message> waiting_;
  std::string status_;
  bool told_ = false;  // the log says that the manager does not read
};

// A listening socket that the service manager passed: one of its own (socket activation), or one of an earlier process
// of this service that crashed.
struct PassedSocket {
  std::string name;  // FileDescriptorName= of the socket unit, or as given to keep()
  Fd fd;
};

// Takes the sockets that LISTEN_FDS announces for this process, close-on-exec, and removes the variables from the
// environment. Call it once, before any other descriptor is opened.
[[nodiscard]] std::vector<PassedSocket> take_passed_sockets();

}  // namespace pronghorn::supervisor
