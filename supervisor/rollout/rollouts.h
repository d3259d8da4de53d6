// Rollouts: workers of another generation take over slot by slot, and every slot always has a worker.
//
// A rollout goes forward (reload: to a new generation) or back (rollback: to the previous one, whose configuration and
// copy of the application are still there). A rollout that fails is undone in the same way: the slots that it has
// replaced get workers of the previous generation.
//
// Context: supervisor, main thread. One rollout runs at a time. Reloads that are requested meanwhile become one, which
//          follows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/launch/app_check.h"
#include "supervisor/launch/supervisor_hooks.h"
#include "supervisor/rollout/canary.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class Rollouts {
 public:
  // Whoever asked for a rollout. All are optional; each is called at most once, with an empty `error` or one line.
  struct Waiter {
    std::function<void(const std::string& error)> checked;   // the configuration and the application are good, or not
    std::function<void(const std::string& error)> finished;  // every slot has a worker of the generation, or not
    // Another rollout runs, and this one follows it. Whoever wants to know that hears nothing more.
    std::function<void()> queued = {};
  };
  struct Callbacks {
    // Every slot is of the new generation, so the rest of the server can follow its configuration.
    std::function<void(const Config& config)> on_complete;
  };

  // The references must outlive this. `launch` is what the workers run with.
  Rollouts(Workers& workers, AppCheck& check, Scoreboard& board, SupervisorHooks hooks, Launch launch,
           Callbacks callbacks);

  // Reads the configuration again, checks the application and replaces the workers. `canary` replaces the option of the
  // same name. While a rollout runs, the request is queued.
  void request(Waiter waiter, std::optional<Milliseconds> canary = {});
  // Returns to the previous generation, which keeps its number; called again, it goes forward again. While a reload
  // runs, undoes that instead, and drops the queued one.
  void rollback(Waiter waiter);
  // The server is stopping: ends what runs and what is queued with this reason. No rollout starts any more.
  void cancel(const std::string& reason);

  // Workers reports here.
  void on_ready(const WorkerEntry& worker);
  void on_exit(const WorkerEntry& worker, const std::string& reason);
  // Continues where something had to be waited for. Call after every event. Returns when to call again (monotonic
  // milliseconds; 0: at the next event).
  std::uint64_t advance();

  [[nodiscard]] bool busy() const noexcept { return stage_ != Stage::idle; }
  // The options whose changes the last reload left out because they need a restart: "listen, admin", or empty.
  [[nodiscard]] const std::string& left_out() const noexcept { return left_out_; }
  // What new workers start with: the generation of the last complete rollout.
  [[nodiscard]] const Launch& launch() const noexcept { return current_; }
  // Where a rollback goes to. Its `config` is null when there is no previous generation.
  [[nodiscard]] const Launch& previous() const noexcept { return previous_; }
  // The highest generation that was ever started.
  [[nodiscard]] std::uint32_t last_generation() const noexcept { return last_generation_; }
  // Continues from the state of an earlier image of this program.
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
    watching,  // the canary serves, the other slots wait
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
  void look_at_canary(std::uint64_t now);
  void pass(const Figures& canary);
  void fail(const std::string& reason);
  void undo(const std::string& reason);
  void finish(const std::string& error);
  void record_end(const std::string& error);
  void log_end(const std::string& error, bool begun, bool undone) const;
  static void tell(const std::vector<Waiter>& waiters, bool finished, const std::string& error);

  Workers& workers_;
  AppCheck& check_;
  Scoreboard& board_;
  std::string left_out_;  // options that the last reload could not change, by name
  SupervisorHooks hooks_;
  Callbacks callbacks_;
  Launch current_;
  Launch previous_;
  Launch next_;
  Stage stage_ = Stage::idle;
  Direction direction_ = Direction::forward;
  int successor_ = 0;  // pid of the worker that has to become ready; 0: none
  std::uint64_t started_ms_ = 0;
  std::uint32_t last_generation_;
  bool cancelled_ = false;
  bool given_up_ = false;  // for a rollback
  std::string failure_;    // why the rollout is being undone
  std::vector<Waiter> waiters_;
  std::vector<Waiter> rollback_waiters_;  // want the running rollout undone
  std::optional<Queued> queued_;

  bool watched_ = false;  // the canary has had its time, or there is none
  std::optional<CanaryWatch> watch_;
  std::uint64_t watch_until_ms_ = 0;
  int condemned_ = 0;      // pid of a canary that is worse than the others, until it is retired; 0: none
  Figures slot_0_before_;  // at the end of the last rollout
};

}  // namespace pronghorn::supervisor
