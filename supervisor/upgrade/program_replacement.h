// Replaces the supervisor's program in place: the process, its children and its sockets remain, the code is new.
//
// The old image checks that the new program accepts its state (StateCheck) and that the application loads in it, then
// executes it with that state (ResumeState). The new image takes the workers over and replaces them by a rollout.
//
// Context: supervisor, main thread.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "common/tls/ticket_keys.h"
#include "supervisor/control/control_socket.h"
#include "supervisor/crash/stack/symbolizer.h"
#include "supervisor/launch/app_check.h"
#include "supervisor/launch/supervisor_hooks.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/load/scaling.h"
#include "supervisor/redis/embedded_redis.h"
#include "supervisor/rollout/rollouts.h"
#include "supervisor/system/directories.h"
#include "supervisor/upgrade/resume_state.h"
#include "supervisor/upgrade/state_check.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class ProgramReplacement {
 public:
  // Called once: with an empty `error` right before the new program is executed, or with one line that says why it is
  // not.
  using Waiter = std::function<void(const std::string& error)>;
  // Called once, when the rollout after the replacement has ended: with an empty `error` when it has succeeded.
  using ResultWaiter = std::function<void(const std::string& error)>;

  // All of it must outlive the ProgramReplacement.
  struct Parts {
    const std::string& program;  // path of our binary
    Scoreboard& board;
    const Listeners& listeners;
    const Listeners* admin_listeners;  // null: there is no admin process
    const HandoffQueue& handoff;
    const std::optional<TicketKeys>& ticket_keys;
    const DirectoryLocks& locks;
    const ControlSocket& control;
    const Symbolizer& symbolizer;
    AppCheck& check;
    Workers& workers;
    Rollouts& rollouts;
    Scaling& scaling;
    std::optional<EmbeddedRedis>& redis;
  };

  // `schedule` asks for a call of advance() in the next turn of the loop.
  ProgramReplacement(uv_loop_t* loop, Children& children, Parts parts, SupervisorHooks hooks,
                     std::function<void()> schedule);

  // Checks the new program, the configuration and the application while the old image is in charge; advance() then
  // executes the new one. Call only while the server runs, nothing replaces workers, and busy() is false. A failure is
  // logged and leaves everything as it is. `waiter` may be empty.
  void begin(Waiter waiter);
  [[nodiscard]] bool busy() const noexcept { return busy_; }
  // The server stops: gives up.
  void cancel() noexcept;
  // Call after every event. Executes the new program when it is time; then this does not return. Returns when to call
  // again (monotonic milliseconds; 0: never).
  std::uint64_t advance();

  // In the new image: takes over the state of the old one.
  void resume(const ResumeState& state, const Launch& launch);
  // In the new image: the rollout that replaces the workers has ended.
  void rollout_ended(const std::string& error);
  // How the replacement that has led to this image ended, now or later. An error when this image has not replaced
  // another: why the last attempt failed.
  void wait_for_result(ResultWaiter waiter);

 private:
  void state_checked(const std::string& error);
  void app_checked(const std::string& error);
  void fail(const std::string& reason);
  [[nodiscard]] ResumeState state() const;

  Parts parts_;
  SupervisorHooks hooks_;
  std::function<void()> schedule_;
  StateCheck state_check_;
  Waiter waiter_;
  Config fresh_;  // the configuration that the application is checked with
  bool busy_ = false;
  bool resumed_ = false;                                  // this image has replaced another
  std::optional<std::string> result_;                     // of the rollout after that; empty text: success
  std::string failure_ = "the program was not replaced";  // why the last attempt failed
  std::vector<ResultWaiter> result_waiters_;
  bool checked_ = false;          // the new program can be executed
  std::uint64_t checked_ms_ = 0;  // since then
};

}  // namespace pronghorn::supervisor
