// Rollouts: another generation of workers takes over slot by slot, without a moment at which a slot has none.
//
// A rollout goes forward (reload: a new generation) or back (rollback: the one before, which is still there with its
// configuration and its copy of the application). One that fails on its way is undone in the same manner: the slots
// that it has replaced get workers of the generation before it.
//
// Context: supervisor, main thread. One at a time; a reload that comes meanwhile is kept, and at most one is.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/launch/app_check.h"
#include "supervisor/launch/hooks.h"
#include "supervisor/rollout/canary.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class Rollouts {
 public:
  // Each may be empty. `error` is empty or one line.
  struct Waiter {
    std::function<void(const std::string& error)> checked;  // configuration and application are good, or not
    // Every slot has a worker of the generation, or not: the line then says why, and what serves now.
    std::function<void(const std::string& error)> finished;
  };
  struct Callbacks {
    // Every slot is of the new generation: what else follows from its configuration can change now.
    std::function<void(const Config& config)> on_complete;
  };

  Rollouts(Workers& workers, AppCheck& check, Scoreboard& board, SupervisorHooks hooks, Launch launch,
           Callbacks callbacks);

  // Reads the configuration again, tries the application, replaces the workers. `canary`: how long the first new worker
  // is watched, in place of what the new configuration says.
  void request(Waiter waiter, std::optional<Milliseconds> canary = {});
  // Back to the generation before, under its own number; called again, forward again. A reload that runs is undone
  // instead, and one that is queued is dropped.
  void rollback(Waiter waiter);
  // The server is stopping: whatever runs or waits ends with this reason, and no more starts.
  void cancel(const std::string& reason);

  // Workers reports here.
  void on_ready(const WorkerEntry& worker);
  void on_exit(const WorkerEntry& worker, const std::string& reason);
  // After every event: goes on where it had to wait. Returns when it wants to be called again (monotonic milliseconds;
  // 0: no time is waited for).
  std::uint64_t advance();

  [[nodiscard]] bool busy() const noexcept { return stage_ != Stage::idle; }
  // What new workers are started with now: of the last rollout that reached every slot.
  [[nodiscard]] const Launch& launch() const noexcept { return current_; }
  // What a rollback would go to. Its `config` is null when there is nothing.
  [[nodiscard]] const Launch& previous() const noexcept { return previous_; }
  // The highest generation that any worker was ever started with.
  [[nodiscard]] std::uint32_t last_generation() const noexcept { return last_generation_; }
  // Goes on from where an earlier image of this program was.
  void resume(const Launch& launch, const Launch& previous, std::uint32_t last_generation) {
    current_ = launch;
    previous_ = previous;
    last_generation_ = last_generation;
  }

 private:
  enum class Stage {
    idle,
    checking,
    replacing,
    watching,  // the canary serves, and the other slots wait
    undoing,   // back to current_, after a failure
  };
  enum class Direction { forward, back };
  struct Queued {
    std::vector<Waiter> waiters;
    std::optional<Milliseconds> canary;
  };

  void start_reload(std::optional<Milliseconds> canary);
  void start_check(Direction direction);
  void checked(const std::string& error);
  [[nodiscard]] const Launch& target() const noexcept { return stage_ == Stage::undoing ? current_ : next_; }
  [[nodiscard]] bool is_done(std::uint32_t slot) const;
  [[nodiscard]] std::optional<std::uint32_t> next_slot() const;
  void replace_next();
  void complete();
  void watch(const WorkerEntry& canary);
  void judge();
  void fail(const std::string& reason);
  void undo(const std::string& reason);
  void finish(const std::string& error);
  [[nodiscard]] std::map<std::uint32_t, std::vector<std::uint32_t>> slots_by_generation() const;
  [[nodiscard]] std::string who_serves() const;
  static void tell(const std::vector<Waiter>& waiters, bool finished, const std::string& error);

  Workers& workers_;
  AppCheck& check_;
  Scoreboard& board_;
  SupervisorHooks hooks_;
  Callbacks callbacks_;
  Launch current_;
  Launch previous_;
  Launch next_;
  Stage stage_ = Stage::idle;
  Direction direction_ = Direction::forward;
  int successor_ = 0;  // pid of the worker that we wait for
  std::uint64_t started_ms_ = 0;
  std::uint32_t last_generation_;
  bool cancelled_ = false;
  bool given_up_ = false;  // for a rollback
  std::string failure_;    // why it is being undone
  std::vector<Waiter> waiters_;
  std::vector<Waiter> rollback_waiters_;  // for a rollout to be undone
  std::optional<Queued> queued_;

  Milliseconds canary_{0};
  bool watched_ = false;  // the canary has had its time
  std::optional<CanaryWatch> watch_;
  std::uint64_t watch_until_ms_ = 0;
  Figures slot_0_before_;  // when the last rollout had ended
};

}  // namespace pronghorn::supervisor
