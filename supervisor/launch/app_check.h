// Loads the application in a process of its own, before a rollout replaces any worker.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/ipc/channel.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/uv_handles.h"

namespace pronghorn::supervisor {

// Context: supervisor, main thread. One check runs at a time.
class AppCheck {
 public:
  // `error` is empty when the application loads, otherwise one line: "the application does not load: …", or what else
  // keeps workers from starting, such as a log that cannot be opened.
  using Done = std::function<void(const std::string& error)>;

  AppCheck(uv_loop_t* loop, Children& children, std::string program, int scoreboard_fd);

  // Calls `done` once, from the loop; `done` may start another check. The process is killed after boot_timeout.
  void start(const Config& config, std::uint32_t generation, Done done);
  // Kills the process; `done` is called with an error.
  void cancel() noexcept;

 private:
  std::string spawn(const Config& config, std::uint32_t generation);
  void exited(const ChildExit& exit);

  uv_loop_t* loop_;
  Children& children_;
  std::string program_;
  int scoreboard_fd_;
  Done done_;
  int pid_ = 0;
  std::unique_ptr<Channel> channel_;
  std::string reason_;
  bool loads_ = false;       // the process has said so
  bool is_of_logs_ = false;  // `reason_` is about the logs, not about the application
  Milliseconds boot_timeout_{0};
  Timer limit_;
};

}  // namespace pronghorn::supervisor
