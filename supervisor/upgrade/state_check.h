// Asks the program on disk whether it can take over from this one, before anything changes.
#pragma once

#include <uv.h>

#include <functional>
#include <string>

#include "common/fd.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/uv_handles.h"
#include "supervisor/upgrade/resume_state.h"

namespace pronghorn::supervisor {

inline constexpr int kStateInFd = 3;   // the state, as ResumeState::serialise() writes it
inline constexpr int kStateOutFd = 4;  // the answer

// Context: supervisor, main thread. One check runs at a time.
class StateCheck {
 public:
  // `error` is empty when the program accepts the state, otherwise one line.
  using Done = std::function<void(const std::string& error)>;

  // `children` must outlive this. `program` is the path to check.
  StateCheck(uv_loop_t* loop, Children& children, std::string program);

  // Runs `PROGRAM check-state` with the real state. Calls `done` once, from the loop. The program has 10 s; a program
  // that is not Pronghorn, or too old to know the command, does not give the answer and is refused.
  void start(const ResumeState& state, Done done);
  // Kills the process; `done` is called with an error.
  void cancel() noexcept;

 private:
  static constexpr std::chrono::seconds kLimit{10};

  void exited(const ChildExit& exit);
  void finish(const std::string& error);

  Children& children_;
  std::string program_;
  Done done_;
  int pid_ = 0;
  Fd answer_;
  Fd printed_;           // by the program
  std::string failure_;  // why there is no process
  Timer limit_;
};

// The internal command `check-state`: reads the state from kStateInFd and answers on kStateOutFd. Returns the exit
// status.
int run_check_state();

}  // namespace pronghorn::supervisor
