// Starting processes and learning of their end.
//
// Context: supervisor, main thread (a child dies with the thread that made it: PR_SET_PDEATHSIG).
#pragma once

#include <uv.h>

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "supervisor/system/uv_handles.h"

namespace pronghorn::supervisor {

struct ChildExit {
  int pid = 0;
  int status = 0;  // meaningful when signal is 0
  int signal = 0;
};

// "exit status 1", "signal 11 (SIGSEGV)".
[[nodiscard]] std::string describe(const ChildExit& exit);

// The state of a process as /proc/PID/stat has it: 'R', 'S', 'D', 'T' (stopped by a signal) …; 0: there is none.
[[nodiscard]] char process_state(int pid);

class Children {
 public:
  using OnExit = std::function<void(const ChildExit&)>;

  // Throws std::runtime_error when the loop will not watch for SIGCHLD.
  explicit Children(uv_loop_t* loop);

  // Runs args[0], a path. The child gets our standard input, output and error, or for both of the latter `output_fd`
  // and no input, and `fds` as its descriptors 3, 4, …; nothing else. `on_exit` is called once, when it has been
  // reaped. The error is one line.
  [[nodiscard]] std::expected<int, std::string> spawn(const std::vector<std::string>& args, const std::vector<int>& fds,
                                                      OnExit on_exit, int output_fd = -1);
  // Watches a child that an earlier image of this program made.
  void adopt(int pid, OnExit on_exit);

  // Looks for children that have ended; SIGCHLD does it by itself, this is for signals that got lost (see
  // resume_state.h).
  void reap();

  // Only to children that have not been reaped: a pid cannot have gone to somebody else.
  void kill(int pid, int signal) noexcept;
  [[nodiscard]] bool contains(int pid) const noexcept { return children_.contains(pid); }
  [[nodiscard]] std::size_t count() const noexcept { return children_.size(); }

 private:
  struct Child {
    OnExit on_exit;
    UvPtr<uv_process_t> handle;  // empty for an adopted one
  };

  void reap_adopted();
  void reap_strangers() noexcept;
  void exited(const ChildExit& exit);

  uv_loop_t* loop_;
  std::unordered_map<int, Child> children_;
  Signal sigchld_;
};

}  // namespace pronghorn::supervisor
