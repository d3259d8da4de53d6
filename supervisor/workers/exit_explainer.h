// Reports why a worker has ended: one log line, the slot's row in the scoreboard, a crash report.
//
// Context: supervisor, main thread.
#pragma once

#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/crash/crash_reporter.h"
#include "supervisor/launch/app_copy.h"
#include "supervisor/slots/slots.h"
#include "supervisor/system/child_process.h"

namespace pronghorn::supervisor {

class ExitExplainer {
 public:
  // One worker that has been reaped, while its row still holds what it wrote.
  struct Ended {
    const Slots::Exit& exit;
    const ChildExit& how;
    std::string cause;  // "signal 11 (SIGSEGV)", then the worker's own message
    const Config& config;
    std::shared_ptr<const AppCopy> app;  // what it had loaded; may be null
  };

  // `board` and `reporter` must outlive this. Without a reporter (null), no reports are written.
  ExitExplainer(Scoreboard& board, CrashReporter* reporter) : board_(board), reporter_(reporter) {}

  // Returns the report, if it has written one. `quietly`: the server is stopping because the application cannot start, which is logged once, elsewhere.
  CrashReporter::Written explain(const Ended& ended, bool quietly);
  // The report alone, without a line in the log.
  CrashReporter::Written write_report(const Ended& ended);

 private:
  Scoreboard& board_;
  CrashReporter* reporter_;
};

}  // namespace pronghorn::supervisor
