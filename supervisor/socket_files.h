// The files of the server's Unix sockets. Somebody may delete them, such as a job that cleans /tmp: then nobody can
// connect any more, and nothing tells.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "supervisor/control/control_socket.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/service_report.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// Binds a socket again whose file is gone, and has the processes that accept from it accept from the new one too.
class SocketFiles {
 public:
  // All must outlive this. `admin`: null if there is no admin process.
  struct Parts {
    ControlSocket& control;
    std::string runtime_dir;  // where the control socket is; empty: it is elsewhere
    Listeners& listeners;
    Listeners* admin;
    Workers& workers;
    ServiceReport& report;
    bool passes_connections;  // the distributor has the listeners
  };
  explicit SocketFiles(Parts parts) noexcept : parts_(std::move(parts)) {}

  // Call it about once a second. An error is logged once, and the next call tries again.
  void look();
  // Call when a process is ready: it may have been started with the old sockets.
  void ready(const WorkerEntry& worker);
  // The next look() tells this process of its Unix sockets again.
  void missed(int pid) { missed_.insert(pid); }

 private:
  void look_at(Listeners& listeners);
  // Tells the process of all its Unix sockets. If its channel is full, the next look() does it.
  void send_all(const WorkerEntry& worker);
  [[nodiscard]] Listeners* listeners_of(std::uint32_t slot) const noexcept;

  Parts parts_;
  std::uint64_t restored_ms_ = 0;  // the last time; 0: never
  std::set<int> missed_;           // processes that do not know all sockets
  std::set<std::string> errors_;   // of this look
  std::set<std::string> told_;
};

}  // namespace pronghorn::supervisor
