// Finds the names of functions in a child process (supervisor/crash/stack/dwarf_names.h).
//
// Context: supervisor, main thread. One child at a time; further requests wait.
#pragma once

#include <uv.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "common/fd.h"
#include "supervisor/crash/stack/stack_frames.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/uv_handles.h"

namespace pronghorn::supervisor {

class Symbolizer {
 public:
  using Done = std::function<void(std::vector<Frame> frames)>;

  Symbolizer(uv_loop_t* loop, Children& children, std::string program);

  // Calls `done` once with the frames: later with names, or without names when the child fails or takes more than 10 s;
  // at once without names when `frames` is empty or too many requests wait.
  void ask(std::vector<Frame> frames, Done done);
  // Whether a child is running.
  [[nodiscard]] bool busy() const noexcept { return pid_ != 0; }
  // Kills the child and answers all requests without names, because the server stops now.
  void cancel() noexcept;

 private:
  struct Request {
    std::vector<Frame> frames;
    Done done;
  };

  void begin_next();
  [[nodiscard]] bool spawn(const std::vector<Frame>& frames);
  void exited(const ChildExit& exit);

  static constexpr std::chrono::seconds kLimit{60};
  static constexpr std::size_t kMostWaiting = 32;

  Children& children_;
  std::string program_;
  std::deque<Request> waiting_;  // the child works on the first one
  int pid_ = 0;
  Fd answer_;
  Timer limit_;
};

}  // namespace pronghorn::supervisor
