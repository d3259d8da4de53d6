// How a rollout ends: complete, undone, or, when even that is not possible, half way.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <utility>

#include "common/log.h"
#include "supervisor/rollout/rollout.h"

namespace pronghorn::supervisor {

void Rollouts::fail(const std::string& reason) {
  watch_.reset();
  if (const int pid = std::exchange(successor_, 0); pid != 0) workers_.discard(pid);
  if (stage_ == Stage::undoing) return finish(fmt::format("{}; going back failed: {}", failure_, reason));
  undo(reason);
}

// Slots that the rollout has replaced go back to current_, by surge again. Whichever of their workers ends by itself is
// followed by one of current_ as well.
void Rollouts::undo(const std::string& reason) {
  failure_ = reason;
  bool replaced = false;
  const auto turn_back = [&](std::uint32_t slot) {
    if (workers_.launch_of(slot).generation != next_.generation) return;
    workers_.set_slot_launch(slot, current_);
    replaced = replaced || workers_.slots().wanted(slot);
  };
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) turn_back(slot);
  if (!replaced) return finish(reason);
  log_error(fmt::format("generation {} is rolled back: {}", next_.generation, reason),
            {{"generation", next_.generation}});
  stage_ = Stage::undoing;
  replace_next();
}

// By what runs, not by what should: after a rollout that could not be undone they differ.
std::map<std::uint32_t, std::vector<std::uint32_t>> Rollouts::slots_by_generation() const {
  std::map<std::uint32_t, std::vector<std::uint32_t>> slots;
  for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) {
    const WorkerEntry* worker = workers_.slots().ready_worker(slot);
    slots[worker != nullptr ? worker->generation : workers_.launch_of(slot).generation].push_back(slot);
  }
  return slots;
}

std::string Rollouts::who_serves() const {
  const auto slots = slots_by_generation();
  if (slots.size() == 1) return fmt::format("every worker is of generation {}", slots.begin()->first);
  std::vector<std::string> parts;
  for (const auto& [generation, numbers] : slots) {
    parts.push_back(fmt::format("generation {} in slot{} {}", generation, numbers.size() == 1 ? "" : "s",
                                fmt::join(numbers, ", ")));
  }
  return fmt::format("there are now {}, until the next reload", fmt::join(parts, " and "));
}

void Rollouts::finish(const std::string& failure) {
  const bool undone = stage_ == Stage::undoing;
  const bool begun = stage_ != Stage::checking;
  std::string error = failure;
  if (undone && !cancelled_) error = fmt::format("generation {} is rolled back: {}", next_.generation, failure);
  if (begun && !failure.empty() && !cancelled_) error += "; " + who_serves();
  const bool back = direction_ == Direction::back;
  if (error.empty()) {
    log_info(fmt::format("{} generation {} is complete in {} ms", back ? "rollback to" : "rollout of",
                         current_.generation, monotonic_ms() - started_ms_),
             {{"generation", current_.generation}});
  } else if (undone && failure == failure_ && !cancelled_) {  // why has been told
    log_info(fmt::format("the rollback of generation {} is complete; {}", next_.generation, who_serves()),
             {{"generation", current_.generation}});
  } else {
    log_error(fmt::format("{}: {}",
                          begun  ? "the rollout has ended early"
                          : back ? "no rollback"
                                 : "no rollout",
                          error));
  }
  stage_ = Stage::idle;
  successor_ = 0;
  watch_.reset();
  next_ = {};
  if (begun) slot_0_before_ = figures_of_slot(board_, 0);
  // Whoever wanted it undone has got what he wanted, unless it could not be.
  const auto serving = slots_by_generation();
  const bool as_before = !cancelled_ && serving.size() == 1 && serving.contains(current_.generation);
  tell(std::exchange(waiters_, {}), begun, error);
  tell(std::exchange(rollback_waiters_, {}), true, as_before ? "" : error);
  if (!queued_) return;
  Queued queued = *std::exchange(queued_, {});
  waiters_ = std::move(queued.waiters);
  start_reload(queued.canary);
}

}  // namespace pronghorn::supervisor
