#include "worker/net/admission.h"

#include <algorithm>

namespace pronghorn::worker {
namespace {

constexpr int kQueue = 2;  // requests that wait

}  // namespace

void Admission::turn_was_long(Time began, Time ended) noexcept {
  if (!on_) return;
  calm_until_ = kNever;
  occupied(ended - std::max(began, dispatched_));
  long_began_ = began;
  suspect_until_ = ended + kTarget;
}

// Nothing has waited for long when a calm turn begins, so neither has anything that is dispatched soon after.
bool Admission::looks_calm(Time now, Time polled) noexcept {
  if (in_spell_ || may_have_waited(now, polled)) return false;
  calm_until_ = polled + kTarget;
  queue_.since = kNever;
  dispatched_ = now;
  return true;
}

void Admission::dispatched(Time now, Time polled) noexcept {
  if (polled != turn_) end_turn();
  // Nobody has waited meanwhile, or somebody would have been dispatched.
  if (dispatched_ == kNever || now - dispatched_ > kIntervalTargets * target()) {
    queue_ = {};
    critical_queue_ = {};
  }
  occupied(now - std::max(polled, dispatched_));
  turn_ = polled;
  dispatched_ = now;
}

void Admission::end_turn() noexcept {
  critical_queue_.end_turn();
  if (queue_.seen && queue_.stood < kQueue) level_ = level_ == Level::only_critical ? Level::late : Level::none;
  queue_.end_turn();
}

void Admission::Queue::add(Duration wait, Duration before_turn, Duration limit, Time now) noexcept {
  seen = true;
  if (before_turn > limit) ++stood;
  if (wait > limit && since == kNever) since = now;
}

void Admission::Queue::end_turn() noexcept {
  if (seen && stood < kQueue) since = kNever;
  seen = false;
  stood = 0;
}

// An average in which every millisecond counts the same: of requests of 1 ms and of 100 ms, one of each, nearly 100 ms.
// That is what others have to wait for. One stall does not count for more than a handler may.
void Admission::occupied(Duration time) noexcept {
  constexpr double kMemory = 500e6;  // nanoseconds
  const auto ns = static_cast<double>(std::clamp(time, Duration::zero(), kLongestTarget).count());
  occupied_ns_ += (ns - occupied_ns_) * ns / kMemory;
}

Admission::Duration Admission::target() const noexcept {
  return std::clamp(Duration(static_cast<Duration::rep>(occupied_ns_)), kTarget, kLongestTarget);
}

void Admission::observe(Priority priority, Time now, Duration wait) noexcept {
  const Duration target = this->target();
  const auto interval = [target](bool again) { return (again ? kReturnTargets : kIntervalTargets) * target; };
  const Duration before_turn = wait - (now - turn_);
  queue_.add(wait, before_turn, target, now);
  if (level_ == Level::none && queue_.has_lasted(interval(in_spell_), now)) {
    level_ = Level::late;
    critical_queue_ = {};
    if (!in_spell_) begin_spell(now);
  }
  if (priority != Priority::critical || level_ == Level::none) return;
  critical_queue_.add(wait, before_turn, kCriticalTargets * target, now);
  if (level_ == Level::late && critical_queue_.has_lasted(interval(critical_shed_), now)) {
    level_ = Level::only_critical;
    critical_shed_ = true;
  }
}

void Admission::begin_spell(Time now) noexcept {
  in_spell_ = true;
  calm_until_ = kNever;
  told_ = false;
  critical_shed_ = false;
  spell_began_ = now;
  shed_ = {};
}

bool Admission::admits(Priority priority, Time now, std::optional<Duration> wait) noexcept {
  if (wait) observe(priority, now, *wait);
  if (level_ != Level::none) overloaded_ = now;
  const bool late = wait && *wait > longest_admitted_wait();
  bool refused = false;
  switch (priority) {
    case Priority::background:
      refused = in_spell_;
      break;
    case Priority::normal:
      refused = level_ == Level::only_critical || (level_ == Level::late && late);
      break;
    case Priority::critical:
      refused = level_ == Level::only_critical && late;
      break;
  }
  if (refused) ++shed_[static_cast<std::size_t>(priority)];
  return !refused;
}

Admission::Change Admission::tick(Time now) noexcept {
  if (!in_spell_) return Change::none;
  if (!told_) {
    told_ = true;
    return Change::began;
  }
  if (now - overloaded_ < kCalm) return Change::none;
  in_spell_ = false;
  level_ = Level::none;
  queue_ = {};
  return Change::ended;
}

}  // namespace pronghorn::worker
