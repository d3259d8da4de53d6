#include "supervisor/rollout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <exception>
#include <map>

#include "common/log.h"
#include "supervisor/exit_report.h"
#include "supervisor/fixed_options.h"

namespace pronghorn::supervisor {

Rollouts::Rollouts(Workers& workers, AppCheck& check, Scoreboard& board, SupervisorHooks hooks, Launch launch,
                   Callbacks callbacks)
    : workers_(workers),
      check_(check),
      board_(board),
      hooks_(std::move(hooks)),
      callbacks_(std::move(callbacks)),
      current_(std::move(launch)),
      last_generation_(current_.generation) {}

void Rollouts::request(Waiter waiter) {
  if (cancelled_) {
    return tell({waiter}, false, "the server is stopping");
  }
  if (busy()) {
    if (!queued_) log_info("a rollout is running; another one follows it");
    queued_ = true;
    queued_waiters_.push_back(std::move(waiter));
    return;
  }
  waiters_.push_back(std::move(waiter));
  start();
}

void Rollouts::start() {
  started_ms_ = monotonic_ms();
  stage_ = Stage::checking;
  Config fresh;
  try {
    fresh = hooks_.reload_config();
  } catch (const std::exception& error) {
    return finish(fmt::format("the configuration is not valid: {}", error.what()));
  }
  if (const auto fixed = keep_fixed_options(fresh, *current_.config); !fixed.empty()) {
    log_warning(fmt::format("changes of {} need a restart and are left out", fmt::join(fixed, ", ")));
  }
  next_ = Launch{last_generation_ + 1, std::make_shared<const Config>(std::move(fresh))};
  check_.start(*next_.config, next_.generation, [this](const std::string& error) {
    if (stage_ != Stage::checking) return;
    if (!error.empty()) return finish("the application does not load: " + error);
    last_generation_ = next_.generation;
    stage_ = Stage::replacing;
    tell(waiters_, false, "");
    log_info(fmt::format("rollout of generation {} begins", next_.generation), {{"generation", next_.generation}});
    replace_next();
  });
}

// The lowest slot that is still of another generation; the admin process comes last.
std::optional<std::uint32_t> Rollouts::next_slot() const {
  const auto is_old = [this](std::uint32_t slot) {
    return workers_.slots().wanted(slot) && workers_.launch_of(slot).generation != next_.generation;
  };
  for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) {
    if (is_old(slot)) return slot;
  }
  if (is_old(kAdminSlot)) return kAdminSlot;
  return std::nullopt;
}

void Rollouts::replace_next() {
  const auto slot = next_slot();
  if (!slot) {
    current_ = next_;
    workers_.set_launch(current_);
    board_.server().generation.store(current_.generation);
    callbacks_.on_complete(*current_.config);
    return finish("");
  }
  if (!workers_.slots().free_row(*slot)) return;  // the worker before the last one still drains; advance() comes back
  const auto pid = workers_.start_successor(*slot, next_);
  if (!pid) return finish(fmt::format("{} cannot be started: {}", process_name(*slot), pid.error()));
  successor_ = *pid;
}

void Rollouts::on_ready(const Worker& worker) {
  if (stage_ != Stage::replacing || worker.pid != successor_) return;
  successor_ = 0;
  workers_.commit(worker.pid, next_);
  replace_next();
}

void Rollouts::on_exit(const Worker& worker, const std::string& reason) {
  if (stage_ != Stage::replacing || worker.pid != successor_) return;
  successor_ = 0;
  // Its slot was scaled away while it started. The slot may be wanted again by now.
  if (worker.state == WorkerState::draining) return replace_next();
  finish(fmt::format("{}, newly started, did not become ready: {}", process_name(worker.slot), reason));
}

void Rollouts::advance() {
  if (stage_ == Stage::replacing && successor_ == 0) replace_next();
}

void Rollouts::cancel(const std::string& reason) {
  cancelled_ = true;
  queued_ = false;
  if (stage_ == Stage::checking) check_.cancel();
  if (busy()) finish(reason);
  tell(std::exchange(queued_waiters_, {}), false, reason);
}

void Rollouts::tell(const std::vector<Waiter>& waiters, bool finished, const std::string& error) {
  for (const Waiter& waiter : waiters) {
    if (!finished && waiter.checked) waiter.checked(error);
    if ((finished || !error.empty()) && waiter.finished) waiter.finished(error);
  }
}

// After a rollout that has failed: slots that were replaced keep the new generation, for they work.
std::string Rollouts::who_serves() const {
  std::map<std::uint32_t, std::vector<std::uint32_t>> slots;  // by generation
  for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) {
    slots[workers_.launch_of(slot).generation].push_back(slot);
  }
  if (slots.size() == 1) return fmt::format("every worker goes on with generation {}", slots.begin()->first);
  std::vector<std::string> parts;
  for (const auto& [generation, numbers] : slots) {
    parts.push_back(fmt::format("generation {} in slot{} {}", generation, numbers.size() == 1 ? "" : "s",
                                fmt::join(numbers, ", ")));
  }
  return fmt::format("there are now {}, until the next reload", fmt::join(parts, " and "));
}

void Rollouts::finish(const std::string& failure) {
  const std::string error =
      failure.empty() || stage_ != Stage::replacing || cancelled_ ? failure : failure + "; " + who_serves();
  const bool checked = std::exchange(stage_, Stage::idle) == Stage::replacing;
  successor_ = 0;
  if (error.empty()) {
    log_info(
        fmt::format("rollout of generation {} is complete in {} ms", current_.generation, monotonic_ms() - started_ms_),
        {{"generation", current_.generation}});
  } else {
    log_error(fmt::format("{}: {}", checked ? "the rollout has ended early" : "no rollout", error));
  }
  tell(std::exchange(waiters_, {}), checked, error);
  if (!queued_) return;
  queued_ = false;
  waiters_ = std::exchange(queued_waiters_, {});
  start();
}

}  // namespace pronghorn::supervisor
