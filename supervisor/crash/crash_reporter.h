// Writes the crash report of a worker that has ended unexpectedly, and logs its stack.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/crash/oom_verdicts.h"
#include "supervisor/crash/stack/symbolizer.h"
#include "supervisor/launch/app_copy.h"
#include "supervisor/launch/worker_entry.h"
#include "supervisor/system/child_process.h"

namespace pronghorn::supervisor {

class CrashReporter {
 public:
  struct Ended {
    const WorkerEntry& worker;
    const WorkerRow& row;  // still as the worker left it
    const ChildExit& how;
    std::string reason;                  // "signal 11 (SIGSEGV)", then the worker's own message
    bool killed_by_us = false;           // then a SIGKILL is not the kernel's
    const Config& config;                // what the worker ran with
    std::shared_ptr<const AppCopy> app;  // the file it had loaded, kept until its functions have names; may be null
  };
  struct Written {
    std::string name;     // of the file; empty: it could not be written, which has been logged
    std::string path;     // of the file; empty as well
    std::string verdict;  // "killed by the kernel: …"; empty: it was not
    // Adds to the report the requests that were in flight. Call once its guardian has ended. Null: the report has them.
    std::function<void(const GuardianRow& found)> add_requests = {};
  };

  // `symbolizer` must outlive this.
  explicit CrashReporter(Symbolizer& symbolizer) : symbolizer_(symbolizer) { sample(monotonic_ms()); }

  // Reads the kernel's count of out-of-memory kills. Call once a second.
  void sample(std::uint64_t now) { verdicts_.sample(now, read_oom_kills()); }

  // Writes the report with bare addresses at once, so that the end of the supervisor does not lose it. Writes it again
  // and logs the stack when the names of functions are known.
  Written write(const Ended& ended);

 private:
  Symbolizer& symbolizer_;
  OomVerdicts verdicts_;
};

}  // namespace pronghorn::supervisor
