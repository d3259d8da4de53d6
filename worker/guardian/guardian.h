// The guardian: a process that keeps a worker's connections open when the worker dies.
//
// The worker clones it before it loads the application. The guardian shares the worker's descriptor table and sleeps
// until the worker has ended. Sockets stay open as long as one process has them in its table. So, whatever killed the
// worker, clients notice nothing while the guardian passes their connections to other workers
// (worker/guardian/handoff/handoff.h).
//
// It is a child of the supervisor, not of the worker (CLONE_PARENT): the supervisor reaps it, and it dies with the
// supervisor. It runs no code of the application, takes no lock, allocates nothing after it has started, and closes
// only what it has passed on.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "common/ipc/scoreboard.h"
#include "worker/guardian/handoff/handoff.h"
#include "worker/guardian/unnoted.h"
#include "worker/net/ledger/ledger.h"

namespace pronghorn::worker {

struct GuardianDuties {
  const Ledger* ledger;
  HandoffInbox* inbox;  // in shared memory
  int queue;            // the givers' end
  GuardianRow* row;
  ListeningPorts ports = {};
};

// Clones the guardian of this process and returns its pid. Call once, after exec, while the process has one thread.
// Everything in `duties` must live until the process ends. The error is one line: why connections will not survive here
// (an old kernel, seccomp, RLIMIT_NPROC).
[[nodiscard]] std::expected<int, std::string> start_guardian(const GuardianDuties& duties, int supervisor_pid);

// What a guardian does when its worker has died: sends to the queue each connection of the ledger that can continue,
// and closes its own descriptor of it. If the queue is full, it waits for takers, `patience_ms` in total. Allocates
// nothing.
void hand_over_all(const GuardianDuties& duties, std::uint64_t patience_ms) noexcept;

}  // namespace pronghorn::worker
