// Rollouts: a new generation of workers takes over slot by slot, without a moment at which a slot has none.
//
// Context: supervisor, main thread. One at a time; a request that comes meanwhile is kept, and at most one is.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/app_check.h"
#include "supervisor/supervisor.h"
#include "supervisor/workers.h"

namespace pronghorn::supervisor {

class Rollouts {
 public:
  // Each may be empty. `error` is empty or one line.
  struct Waiter {
    std::function<void(const std::string& error)> checked;  // configuration and application are good, or not
    // Every slot has a worker of the new generation, or not: the line then says which slots have.
    std::function<void(const std::string& error)> finished;
  };
  struct Callbacks {
    // Every slot is of the new generation: what else follows from its configuration can change now.
    std::function<void(const Config& config)> on_complete;
  };

  Rollouts(Workers& workers, AppCheck& check, Scoreboard& board, SupervisorHooks hooks, Launch launch,
           Callbacks callbacks);

  // Reads the configuration again, tries the application, replaces the workers.
  void request(Waiter waiter);
  // The server is stopping: whatever runs or waits ends with this reason, and no more starts.
  void cancel(const std::string& reason);

  // Workers reports here.
  void on_ready(const Worker& worker);
  void on_exit(const Worker& worker, const std::string& reason);
  // After every event: goes on where it had to wait.
  void advance();

  [[nodiscard]] bool busy() const noexcept { return stage_ != Stage::idle; }
  // What new workers are started with now: of the last rollout that reached every slot.
  [[nodiscard]] const Launch& launch() const noexcept { return current_; }
  // The highest generation that any worker was ever started with.
  [[nodiscard]] std::uint32_t last_generation() const noexcept { return last_generation_; }
  // Goes on from where an earlier image of this program was.
  void resume(const Launch& launch, std::uint32_t last_generation) {
    current_ = launch;
    last_generation_ = last_generation;
  }

 private:
  enum class Stage { idle, checking, replacing };

  void start();
  void replace_next();
  [[nodiscard]] std::optional<std::uint32_t> next_slot() const;
  void finish(const std::string& error);
  [[nodiscard]] std::string who_serves() const;
  static void tell(const std::vector<Waiter>& waiters, bool finished, const std::string& error);

  Workers& workers_;
  AppCheck& check_;
  Scoreboard& board_;
  SupervisorHooks hooks_;
  Callbacks callbacks_;
  Launch current_;
  Launch next_;
  Stage stage_ = Stage::idle;
  int successor_ = 0;  // pid of the worker that we wait for
  std::uint64_t started_ms_ = 0;
  std::uint32_t last_generation_;
  bool queued_ = false;
  bool cancelled_ = false;
  std::vector<Waiter> waiters_;
  std::vector<Waiter> queued_waiters_;
};

}  // namespace pronghorn::supervisor
