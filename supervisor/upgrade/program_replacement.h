// Replaces the supervisor's program in place: the process, its children and its sockets stay, the code is new.
//
// The old image checks that the new one can start, then executes it with the state that it needs (ResumeState). The new
// image takes the workers over and replaces them by a rollout.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/ipc/scoreboard.h"
#include "supervisor/control/control_socket.h"
#include "supervisor/crash/symbolizer.h"
#include "supervisor/launch/app_check.h"
#include "supervisor/launch/supervisor_hooks.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/load/dispatcher.h"
#include "supervisor/load/scaling.h"
#include "supervisor/redis/embedded_redis.h"
#include "supervisor/rollout/rollouts.h"
#include "supervisor/system/directories.h"
#include "supervisor/upgrade/resume_state.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class ProgramReplacement {
 public:
  // All of it must outlive the ProgramReplacement.
  struct Parts {
    const std::string& program;  // path of our binary
    Scoreboard& board;
    const Listeners& listeners;
    const Listeners* admin_listeners;  // null: there is no admin process
    const DirectoryLocks& locks;
    const ControlSocket& control;
    const Symbolizer& symbolizer;
    AppCheck& check;
    Workers& workers;
    Rollouts& rollouts;
    Scaling& scaling;
    std::optional<Dispatcher>& dispatcher;
    std::optional<EmbeddedRedis>& redis;
  };

  // `schedule` asks for a call of advance() in the next turn of the loop.
  ProgramReplacement(Parts parts, SupervisorHooks hooks, std::function<void()> schedule);

  // Checks the configuration and the application with the old image still in charge; advance() then executes the new
  // one. Call only while the server runs, nothing replaces workers, and busy() is false. A failure is logged and leaves
  // everything as it is.
  void begin();
  [[nodiscard]] bool busy() const noexcept { return busy_; }
  // The server stops: gives up.
  void cancel() noexcept;
  // Call after every event. Executes the new program when it is time; then this does not return. Returns when to call
  // again (monotonic milliseconds; 0: never).
  std::uint64_t advance();

  // In the new image: takes over what the old one has left.
  void resume(const ResumeState& state, const Launch& launch);

 private:
  void checked(const std::string& error);
  void fail(const std::string& reason);
  [[nodiscard]] ResumeState state() const;

  Parts parts_;
  SupervisorHooks hooks_;
  std::function<void()> schedule_;
  bool busy_ = false;
  std::uint64_t exec_by_ms_ = 0;  // executes by then, earlier when no client waits for a worker; 0: not checked yet
};

}  // namespace pronghorn::supervisor
