// The crash report as JSON: everything that is known about an unexpected exit.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "supervisor/crash/oom_verdicts.h"
#include "supervisor/launch/worker_entry.h"
#include "supervisor/system/child_process.h"

namespace pronghorn::supervisor {

// A worker that has been reaped and whose row has not been released yet.
struct EndedWorker {
  const WorkerEntry& worker;
  const WorkerRow& row;  // not the worker's when row.pid differs: then nothing of it is reported
  ChildExit exit;
  std::string reason;        // "signal 11 (SIGSEGV)", then the worker's or our own message
  std::string app;           // path
  std::uint64_t rss_bytes;   // its peak; 0: unknown
  std::uint64_t now_ms;      // monotonic
  long long at;              // seconds since 1970
  std::uint64_t oom_before;  // see MemoryState::oom_kills
  MemoryState memory;        // now
  std::string verdict;       // of the out-of-memory killer; empty: it was not involved
};

// Fields may be added, never renamed; docs/crashes.md lists them. `backtrace` is an
// empty array; `names`, about the names of functions in it, is left to the caller.
[[nodiscard]] nlohmann::json crash_report(const EndedWorker& ended);

// `other_requests` of a worker that could not list them itself, as its guardian found them. Empty if the guardian has
// listed nothing, or those of another worker. `running_ns`: start of the request that is in `request` already; 0: none.
[[nodiscard]] nlohmann::json requests_found(const GuardianRow& found, int pid, std::uint64_t running_ns,
                                            std::uint64_t ended_ms);

// "crash-20261122T101706Z-0-4242.json".
[[nodiscard]] std::string report_name(long long at, std::uint32_t slot, int pid);

// "address not mapped" for SIGSEGV and SEGV_MAPERR; see sigaction(2).
[[nodiscard]] std::string describe_signal_code(int signal, int code);

}  // namespace pronghorn::supervisor
