// What the service manager (systemd) learns of a running server.
//
// Context: supervisor, main thread.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "supervisor/listen/listeners.h"
#include "supervisor/system/service_manager.h"

namespace pronghorn::supervisor {

// Rollouts, and the listening sockets that the manager keeps: it passes them to the next process of this service if
// this one crashes, so that no connection is refused meanwhile.
class ServiceReport {
 public:
  // Both must outlive it.
  ServiceReport(ServiceManager& manager, Listeners& listeners) noexcept : manager_(manager), listeners_(listeners) {}
  ServiceReport(const ServiceReport&) = delete;
  ServiceReport& operator=(const ServiceReport&) = delete;

  // Call before a reload begins: it may fail within the same turn of the loop, and the manager waits for RELOADING=1.
  // update() sends the READY=1 that must follow.
  void rollout_begins();
  // Call after every event. `status`: the line that `systemctl status` shows.
  void update(bool rolling_out, const std::string& status);

  // Has the manager keep the listeners that it does not keep yet. Call it about once a second: slots may be added.
  void keep_listeners();
  // Has the manager forget what it keeps under the name of this listener, whose socket is a new one. keep_listeners()
  // has it keep that.
  void forget(const Listeners::Listener& listener);
  // Closes all listeners. The manager forgets them: nobody would answer clients that wait in the queue of a kept socket
  // once this process has ended in order.
  void close_listeners();

 private:
  ServiceManager& manager_;
  Listeners& listeners_;
  bool told_rollout_ = false;                   // the manager knows of the running rollout
  std::set<std::pair<std::string, int>> kept_;  // listeners, with their names
};

}  // namespace pronghorn::supervisor
