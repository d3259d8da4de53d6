// The report of one exit that nobody asked for: everything that is known about it, as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "supervisor/launch/worker_entry.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/memory_limits.h"

namespace pronghorn::supervisor {

// Seen right after the process has been reaped, before its row is released.
struct EndedWorker {
  const WorkerEntry& worker;
  const WorkerRow& row;  // another process' when row.pid is not the worker's: then it tells nothing
  ChildExit exit;
  std::string reason;        // "signal 11 (SIGSEGV)", with the worker's or our own words behind it
  std::string app;           // path
  std::uint64_t rss_bytes;   // last sampled; 0: never
  std::uint64_t now_ms;      // monotonic
  long long at;              // seconds since 1970
  std::uint64_t oom_before;  // see MemoryState::oom_kills
  MemoryState memory;        // now
  std::string verdict;       // empty: not for want of memory
};

// Fields may be added, never renamed; docs/crashes.md lists them. `backtrace` is an empty array.
[[nodiscard]] nlohmann::json crash_report(const EndedWorker& ended);

// "crash-20261122T101706Z-0-4242.json".
[[nodiscard]] std::string report_name(long long at, std::uint32_t slot, int pid);

// "address not mapped" for SIGSEGV and SEGV_MAPERR; see sigaction(2).
[[nodiscard]] std::string describe_signal_code(int signal, int code);

}  // namespace pronghorn::supervisor
