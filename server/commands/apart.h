// Runs code of an application in a process of its own, where it can neither crash nor end a command.
#pragma once

#include <functional>
#include <string>

namespace pronghorn::server {

struct ApartExit {
  int status = 0;         // exit status
  int signal = 0;         // 0: no signal has ended it
  bool finished = false;  // `work` returned; else the application has ended the process
  // How the application has ended it: "exit status 0", "signal 6 (Aborted)".
  [[nodiscard]] std::string how() const;
};

// Calls `work` in a child process, which then exits with what it returned, without running static destructors: those of
// a loaded application may crash or hang, and the result must not depend on them. Waits for that. Throws
// std::runtime_error if there can be no process.
[[nodiscard]] ApartExit run_apart(const std::function<int()>& work);

}  // namespace pronghorn::server
