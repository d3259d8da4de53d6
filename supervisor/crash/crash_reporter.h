// Explains exits that nobody asked for: makes the report, finds the functions' names, logs the backtrace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "supervisor/crash/report_json.h"
#include "supervisor/crash/symbolizer.h"
#include "supervisor/launch/app_copy.h"
#include "supervisor/system/memory_limits.h"

namespace pronghorn::supervisor {

// Context: supervisor, main thread.
class CrashReports {
 public:
  // `symbolizer` outlives this.
  explicit CrashReports(Symbolizer& symbolizer) : symbolizer_(symbolizer) { sample(monotonic_ms()); }

  // Once a second.
  void sample(std::uint64_t now) { verdicts_.sample(now, memory_.read().oom_kills); }

  struct Written {
    std::string name;  // of the file; empty: it could not be written, which has been logged
    std::string path;
    std::string verdict;  // "killed by the kernel: …"; empty: it was not
  };
  // Writes the report with bare addresses at once: whatever happens to us, it is there. When the names are known they
  // are added, and the backtrace is logged. `row` is still the worker's. `killed_by_us`: it needs no verdict. `app`:
  // the file that it has loaded, which is kept until its names are known; may be null.
  Written write(const WorkerEntry& worker, const WorkerRow& row, const ChildExit& exit, const std::string& reason,
                std::uint64_t rss_bytes, bool killed_by_us, const Config& config, std::shared_ptr<const AppCopy> app);

 private:
  Symbolizer& symbolizer_;
  MemoryLimits memory_;
  OomVerdicts verdicts_;
};

}  // namespace pronghorn::supervisor
