// Asks a throw-away process for the names of functions (supervisor/crash/dwarf_names.h).
#pragma once

#include <uv.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "supervisor/crash/stack_frames.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/fd.h"
#include "supervisor/system/uv_handles.h"

namespace pronghorn::supervisor {

// Context: supervisor, main thread. One process at a time; the others wait.
class Symbolizer {
 public:
  using Done = std::function<void(std::vector<Frame> frames)>;

  Symbolizer(uv_loop_t* loop, Children& children, std::string program);

  // Calls `done` once, later, or at once when nothing can be asked: with names, or with the frames as they are when
  // that fails, takes more than 10 s, or too many wait already.
  void ask(std::vector<Frame> frames, Done done);
  // Whether a process of ours runs.
  [[nodiscard]] bool busy() const noexcept { return pid_ != 0; }
  // The server stops now: kills the process, and answers all that wait with what they have.
  void cancel() noexcept;

 private:
  struct Request {
    std::vector<Frame> frames;
    Done done;
  };

  void begin_next();
  [[nodiscard]] bool spawn(const std::vector<Frame>& frames);
  void exited(const ChildExit& exit);

  static constexpr std::chrono::seconds kLimit{10};
  static constexpr std::size_t kMostWaiting = 32;

  Children& children_;
  std::string program_;
  std::deque<Request> waiting_;  // the first one is being answered
  int pid_ = 0;
  Fd answer_;
  Timer limit_;
};

}  // namespace pronghorn::supervisor
