#include "supervisor/rollout/rollouts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>
#include <exception>
#include <utility>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"
#include "supervisor/launch/fixed_options.h"
#include "supervisor/rollout/generations.h"
#include "supervisor/tls/redis_files.h"

namespace pronghorn::supervisor {

static constexpr const char* kToldToLeave = "somebody has told the canary to leave (SIGTERM)";

Rollouts::Rollouts(Workers& workers, AppCheck& check, Scoreboard& board, SupervisorHooks hooks, Launch launch,
                   Callbacks callbacks)
    : workers_(workers),
      check_(check),
      board_(board),
      hooks_(std::move(hooks)),
      callbacks_(std::move(callbacks)),
      current_(std::move(launch)),
      last_generation_(current_.generation) {}

// --- What is asked for ----------------------------------------------------------------------------------------------

void Rollouts::request(Waiter waiter, std::optional<Milliseconds> canary) {
  if (cancelled_) return tell({waiter}, false, "the server is stopping");
  if (busy()) {
    if (!queued_) {
      log_info("a rollout is running; the new one follows it");
      queued_.emplace();
    }
    if (waiter.queued) {
      waiter.queued();
    } else {
      queued_->waiters.push_back(std::move(waiter));
    }
    if (canary) queued_->canary = canary;
    return;
  }
  waiters_.push_back(std::move(waiter));
  start_reload(canary);
}

void Rollouts::rollback(Waiter waiter) {
  if (cancelled_) return tell({waiter}, false, "the server is stopping");
  if (stage_ == Stage::undoing || (busy() && (direction_ == Direction::back || given_up_))) {
    return tell({waiter}, false, "a rollback is running already");
  }
  if (!busy() && previous_.config == nullptr) {
    return tell({waiter}, false, "there is no previous generation to return to");
  }
  if (!busy()) {
    waiters_.push_back(std::move(waiter));
    next_ = previous_;
    // Nobody goes back for a certificate that has expired since.
    const bool expired = next_.tls != nullptr && has_expired(*next_.tls, static_cast<std::int64_t>(std::time(nullptr)));
    if (expired) next_.tls = current_.tls;
    return start_check(Direction::back);
  }
  if (queued_) tell(std::exchange(queued_, {})->waiters, false, "cancelled by a rollback");
  tell({waiter}, false, "");
  rollback_waiters_.push_back(std::move(waiter));
  given_up_ = true;
  if (stage_ == Stage::checking) return check_.cancel();  // calls checked()
  fail("cancelled by a rollback");
}

void Rollouts::cancel(const std::string& reason) {
  cancelled_ = true;
  const auto queued = std::exchange(queued_, {});
  if (stage_ == Stage::checking) check_.cancel();
  if (busy()) finish(reason);
  if (queued) tell(queued->waiters, false, reason);
}

void Rollouts::tell(const std::vector<Waiter>& waiters, bool finished, const std::string& error) {
  for (const Waiter& waiter : waiters) {
    if (!finished && waiter.checked) waiter.checked(error);
    if ((finished || !error.empty()) && waiter.finished) waiter.finished(error);
  }
}

// --- Checking -------------------------------------------------------------------------------------------------------

void Rollouts::start_reload(std::optional<Milliseconds> canary) {
  direction_ = Direction::forward;
  stage_ = Stage::checking;
  Config fresh;
  try {
    fresh = hooks_.reload_config();
  } catch (const std::exception& error) {
    return finish(fmt::format("the configuration is invalid: {}", error.what()));
  }
  const auto fixed = keep_fixed_options(fresh, *current_.config);
  left_out_ = fmt::format("{}", fmt::join(fixed, ", "));
  if (!fixed.empty()) {
    log_warning(fmt::format("changes of {} need a restart and are ignored", fmt::join(fixed, ", ")));
  }
  if (canary) fresh.canary = *canary;
  try {
    next_.tls = load_tls_material(fresh);
    read_redis_files(fresh);
  } catch (const std::exception& error) {
    return finish(fmt::format("the certificates cannot be used: {}", error.what()));
  }
  next_.generation = last_generation_ + 1;
  next_.app = copy_app(fresh, next_.generation);
  next_.config = std::make_shared<const Config>(std::move(fresh));
  start_check(Direction::forward);
}

void Rollouts::start_check(Direction direction) {
  started_ms_ = monotonic_ms();
  stage_ = Stage::checking;
  direction_ = direction;
  given_up_ = false;
  watched_ = direction == Direction::back || next_.config->canary.count() == 0;
  check_.start(*next_.config, next_.generation, [this](const std::string& error) { checked(error); });
}

void Rollouts::checked(const std::string& error) {
  if (stage_ != Stage::checking) return;
  if (given_up_) return finish("cancelled by a rollback");
  if (!error.empty()) return finish(error);
  if (direction_ == Direction::forward) last_generation_ = next_.generation;
  stage_ = Stage::replacing;
  tell(waiters_, false, "");
  log_info(fmt::format("{} generation {} begins", direction_ == Direction::forward ? "rollout of" : "rollback to",
                       next_.generation),
           {{"generation", next_.generation}});
  replace_next();
}

// --- Replacing ------------------------------------------------------------------------------------------------------

// A worker of the target generation serves the slot, and the slot's next workers are of it too.
bool Rollouts::is_done(std::uint32_t slot) const {
  const WorkerEntry* worker = workers_.slots().current(slot);
  return workers_.launch_of(slot).generation == target().generation && worker != nullptr &&
         worker->generation == target().generation && worker->state == WorkerState::ready;
}

// The lowest slot that is not done; then the job workers; the processes that are no workers are the last.
std::optional<std::uint32_t> Rollouts::next_slot() const {
  const auto waits = [this](std::uint32_t slot) { return workers_.slots().wanted(slot) && !is_done(slot); };
  for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) {
    if (waits(slot)) return slot;
  }
  for (std::uint32_t slot = kFirstJobSlot; slot < kMaxSlots; ++slot) {
    if (waits(slot)) return slot;
  }
  for (const std::uint32_t slot : {kDistributorSlot, kAdminSlot}) {
    if (waits(slot)) return slot;
  }
  return std::nullopt;
}

void Rollouts::replace_next() {
  const auto slot = next_slot();
  if (!slot) return complete();
  // The slot's launch is the target already, but its worker has ended: it gets another one as any slot does.
  const WorkerEntry* worker = workers_.slots().current(*slot);
  const bool starts_itself = workers_.launch_of(*slot).generation == target().generation &&
                             (worker == nullptr || worker->generation == target().generation ||
                              worker->state == WorkerState::draining || worker->state == WorkerState::dying);
  const bool has_room =
      stage_ == Stage::undoing ? workers_.slots().free_row(*slot).has_value() : workers_.slots().can_surge(*slot);
  if (starts_itself || !has_room) return;  // advance() calls again
  const auto pid = workers_.start_successor(*slot, target());
  if (!pid) return fail(fmt::format("cannot start {}: {}", process_name(*slot), pid.error()));
  successor_ = *pid;
}

void Rollouts::on_ready(const WorkerEntry& worker) {
  if (worker.pid != successor_) return;
  successor_ = 0;
  workers_.commit(worker.pid, target());
  if (stage_ == Stage::replacing && !watched_ && is_worker_slot(worker.slot)) return watch(worker);
  replace_next();
}

void Rollouts::on_exit(const WorkerEntry& worker, const std::string& reason) {
  if (stage_ == Stage::idle || stage_ == Stage::checking) return;
  if (worker.pid == successor_) {
    successor_ = 0;
    // Its slot was scaled away while it started; by now the slot may be wanted again.
    if (worker.leaving) return replace_next();
    return fail(fmt::format("{}, newly started, did not become ready: {}", process_name(worker.slot), reason));
  }
  if (stage_ == Stage::watching && worker.leaving && worker.pid == watch_->pid()) return fail(kToldToLeave);
  if (worker.generation != target().generation || worker.leaving) return;
  if (stage_ == Stage::undoing) {
    // A worker that had become ready is restarted like any other.
    if (worker.ready_ms == 0) fail(fmt::format("{} did not become ready: {}", process_name(worker.slot), reason));
    return;
  }
  fail(fmt::format("{}, newly started, has ended: {}", process_name(worker.slot), reason));
}

std::uint64_t Rollouts::advance() {
  const std::uint64_t now = monotonic_ms();
  if (stage_ == Stage::watching) look_at_canary(now);
  if ((stage_ == Stage::replacing || stage_ == Stage::undoing) && successor_ == 0) replace_next();
  return stage_ == Stage::watching ? std::min(watch_until_ms_, now + CanaryWatch::kLookMs) : 0;
}

// --- The canary -----------------------------------------------------------------------------------------------------

void Rollouts::watch(const WorkerEntry& canary) {
  const auto limit = next_.config->canary;
  const auto slots = workers_.slots().target();
  watch_.emplace(board_, CanaryPlace{.pid = canary.pid, .slot = canary.slot, .row = canary.row}, slots,
                 figures_of_slot(board_, canary.slot).since(slot_0_before_));
  watch_until_ms_ = monotonic_ms() + static_cast<std::uint64_t>(limit.count());
  watched_ = true;
  stage_ = Stage::watching;
  log_info(fmt::format("worker {} is the canary of generation {} and is watched for {:g} s", canary.slot,
                       next_.generation, static_cast<double>(limit.count()) / 1e3),
           {{"slot", canary.slot}, {"pid", canary.pid}, {"generation", next_.generation}});
}

void Rollouts::look_at_canary(std::uint64_t now) {
  const WorkerEntry* worker = workers_.slots().find(watch_->pid());
  if (worker != nullptr && worker->leaving) return fail(kToldToLeave);
  watch_->look(now);
  const Figures canary = watch_->canary();
  const bool over = now >= watch_until_ms_;
  if (!over && !fails_badly(canary)) return;
  const std::string worse = canary_verdict(canary, watch_->others());
  if (worse.empty() && !over) return;
  const int pid = watch_->pid();
  watch_.reset();
  if (worse.empty()) return pass(canary);
  condemned_ = pid;
  fail(worse);
}

void Rollouts::pass(const Figures& canary) {
  const std::string answered = counted(canary.requests, "request");
  log_info(canary.requests < kEnoughForErrors
               ? fmt::format("the canary has answered {}, too few to judge it; the rollout continues", answered)
               : fmt::format("the canary is as good as the others after {}; the rollout continues", answered),
           {{"generation", next_.generation}});
  stage_ = Stage::replacing;
  replace_next();
}

// --- The end --------------------------------------------------------------------------------------------------------

void Rollouts::complete() {
  if (stage_ == Stage::undoing) return finish(failure_);
  previous_ = std::exchange(current_, next_);
  workers_.set_launch(current_);
  board_.server().generation.store(current_.generation);
  callbacks_.on_complete(*current_.config);
  finish("");
}

void Rollouts::fail(const std::string& reason) {
  watch_.reset();
  if (const int pid = std::exchange(successor_, 0); pid != 0) workers_.discard(pid);
  if (stage_ == Stage::undoing) return finish(fmt::format("{}; undoing it failed: {}", failure_, reason));
  undo(reason);
}

// The slots that have been replaced get workers of current_, by surge again. When one of their workers ends by itself,
// the next one is of current_ as well.
void Rollouts::undo(const std::string& reason) {
  failure_ = reason;
  bool replaced = false;
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    if (workers_.launch_of(slot).generation != next_.generation) continue;
    workers_.set_slot_launch(slot, current_);
    replaced = replaced || workers_.slots().wanted(slot);
  }
  // A condemned canary serves no longer, even when another worker still drains in its slot.
  if (const int pid = std::exchange(condemned_, 0); pid != 0) workers_.retire(pid);
  if (!replaced) return finish(reason);
  log_error(fmt::format("generation {} is rolled back: {}", next_.generation, reason),
            {{"generation", next_.generation}});
  stage_ = Stage::undoing;
  replace_next();
}

void Rollouts::finish(const std::string& failure) {
  const bool undone = stage_ == Stage::undoing;
  const bool begun = stage_ != Stage::checking;
  std::string error = failure;
  if (undone && !cancelled_) error = fmt::format("generation {} is rolled back: {}", next_.generation, failure);
  if (begun && !failure.empty() && !cancelled_) error += "; " + describe_generations(workers_);
  log_end(error, begun, undone && failure == failure_ && !cancelled_);
  record_end(error);
  stage_ = Stage::idle;
  successor_ = 0;
  watch_.reset();
  next_ = {};
  if (begun) slot_0_before_ = figures_of_slot(board_, 0);
  // Waiters for the rollout to be undone have what they want, unless undoing it failed.
  const auto serving = slots_by_generation(workers_);
  const bool as_before = !cancelled_ && serving.size() == 1 && serving.contains(current_.generation);
  tell(std::exchange(waiters_, {}), begun, error);
  tell(std::exchange(rollback_waiters_, {}), true, as_before ? "" : error);
  if (!queued_) return;
  Queued queued = *std::exchange(queued_, {});
  waiters_ = std::move(queued.waiters);
  start_reload(queued.canary);
}

// For /status.
void Rollouts::record_end(const std::string& error) {
  RolloutRow& row = board_.server().rollout;
  const bool back = direction_ == Direction::back;
  row.generation.store(error.empty() ? current_.generation : next_.generation);
  row.succeeded.store(error.empty() ? 1 : 0);
  row.message.set(!error.empty()
                      ? error
                      : fmt::format("{} generation {}{}{}", back ? "rolled back to" : "rolled out", current_.generation,
                                    left_out_.empty() ? "" : "; left out: ", left_out_));
  row.at.store(static_cast<std::uint64_t>(std::time(nullptr)));
}

// `undone`: as intended, and the reason has been logged before.
void Rollouts::log_end(const std::string& error, bool begun, bool undone) const {
  const bool back = direction_ == Direction::back;
  if (error.empty()) {
    log_info(fmt::format("{} generation {} is complete in {} ms", back ? "rollback to" : "rollout of",
                         current_.generation, monotonic_ms() - started_ms_),
             {{"generation", current_.generation}});
  } else if (undone) {
    log_info(
        fmt::format("the rollback of generation {} is complete; {}", next_.generation, describe_generations(workers_)),
        {{"generation", current_.generation}});
  } else {
    log_error(fmt::format("{}: {}", begun ? "the rollout has failed" : back ? "no rollback" : "no rollout", error));
  }
}

}  // namespace pronghorn::supervisor
