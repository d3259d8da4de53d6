// Starts child processes and reports their exits.
//
// Context: supervisor, main thread. A child with PR_SET_PDEATHSIG dies with the thread that has started it.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
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
  int status = 0;                    // exit status, when signal is 0
  int signal = 0;                    // that ended it; 0: it exited
  std::uint64_t peak_rss_bytes = 0;  // the most resident memory that it ever had; 0: unknown
};

// "exit status 1", "signal 11 (SIGSEGV)".
[[nodiscard]] std::string describe(const ChildExit& exit);

// The state of a process in /proc/PID/stat: 'R', 'S', 'D', 'T' (stopped by a signal) …; '\0': there is no such process.
[[nodiscard]] char process_state(int pid);

class Children {
 public:
  using OnExit = std::function<void(const ChildExit&)>;

  // `on_exits` is called when children have been reaped, after the callback of each. Throws std::runtime_error when the
  // loop cannot watch for SIGCHLD.
  Children(uv_loop_t* loop, std::function<void()> on_exits);

  // Runs args[0], a path, and returns its pid. The child gets our standard input, output and error, and `fds` as its
  // descriptors 3, 4, …; nothing else. With `output_fd` it gets no input, and output and error go there. `on_exit` is
  // called once, when it has been reaped. The error is one line.
  [[nodiscard]] std::expected<int, std::string> spawn(const std::vector<std::string>& args, const std::vector<int>& fds,
                                                      OnExit on_exit, int output_fd = -1);
  // Watches a child that an earlier image of this program has started.
  void adopt(int pid, OnExit on_exit);

  // Looks for children that have ended. SIGCHLD does this too; a signal can get lost while the supervisor's program is
  // replaced.
  void reap();

  // Does nothing for a process that has been reaped: another one may have its pid by now.
  void kill(int pid, int signal) noexcept;
  [[nodiscard]] bool contains(int pid) const noexcept { return children_.contains(pid); }
  [[nodiscard]] std::size_t count() const noexcept { return children_.size(); }

 private:
  void reap_ours();
  void reap_strangers() noexcept;
  void exited(const ChildExit& exit);

  uv_loop_t* loop_;
  std::function<void()> on_exits_;
  std::unordered_map<int, OnExit> children_;  // by pid
  Signal sigchld_;
};

}  // namespace pronghorn::supervisor
