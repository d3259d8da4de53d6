#include "worker/net/admission.h"

#include <algorithm>

namespace pronghorn::worker {
namespace {

constexpr int kQueue = 2;   // requests that wait
constexpr int kGrowth = 2;  // a queue grows fast if a turn is so many times as long as the one before
constexpr int kStallMemory = 2;

}  // namespace

void Admission::turn_was_long(Time began, Time ended) noexcept {
  if (!on_) return;
  calm_until_ = kNever;
  occupied(std::max(began, dispatched_), ended);
  long_began_ = began;
  long_time_ = ended - began;
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
  if (polled != turn_) begin_turn(now, polled);
  // Nobody has waited meanwhile, or somebody would have been dispatched.
  if (dispatched_ == kNever || now - dispatched_ > kIntervalTargets * target()) {
    queue_ = {};
    critical_queue_ = {};
  }
  occupied(std::max(polled, dispatched_), now);
  dispatched_ = now;
  ++requests_;
}

void Admission::begin_turn(Time now, Time polled) noexcept {
  end_turn();
  turn_ = polled;
  first_ = now;
  requests_ = 0;
  last_turn_ = polled <= suspect_until_ ? long_time_ : Duration::zero();
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
void Admission::occupied(Time began, Time ended) noexcept {
  constexpr double kMemory = 500e6;  // nanoseconds
  const Duration time = std::clamp(ended - began, Duration::zero(), kLongestTarget);
  // Only what comes before the queue can have made it: an overloaded worker that does not always get a core, too, has
  // one stall after the other.
  if (queue_.since == kNever && time > kStallTargets * target()) excused_until_ = ended + kStallMemory * time;
  const auto ns = static_cast<double>(time.count());
  occupied_ns_ += (ns - occupied_ns_) * ns / kMemory;
}

Admission::Duration Admission::target() const noexcept {
  return std::clamp(Duration(static_cast<Duration::rep>(occupied_ns_)), kTarget, kLongestTarget);
}

bool Admission::queue_stands(Time now) const noexcept {
  if (in_spell_) return queue_.has_lasted(kReturnTargets * target(), now);
  const bool grows = last_turn_ >= target() && now - turn_ >= kGrowth * last_turn_;
  return queue_.has_lasted((grows ? kGrowthTargets : kIntervalTargets) * target(), now, excused_until_);
}

void Admission::observe(Priority priority, Time now, Duration wait) noexcept {
  const Duration target = this->target();
  const Duration before_turn = wait - (now - turn_);
  queue_.add(wait, before_turn, target, now);
  if (level_ == Level::none && queue_stands(now)) begin_overload(now);
  if (priority != Priority::critical || level_ == Level::none) return;
  critical_queue_.add(wait, before_turn, kCriticalTargets * target, now);
  const int interval = critical_shed_ ? kReturnTargets : kIntervalTargets;
  if (level_ == Level::late && critical_queue_.has_lasted(interval * target, now)) {
    level_ = Level::only_critical;
    critical_shed_ = true;
  }
}

// The time that a client takes is that of the requests of this turn.
void Admission::clients_wait(std::size_t clients, Time now) noexcept {
  constexpr int kEnough = 4;
  if (requests_ < kEnough || now < excused_until_) return;
  const Duration each = (now - first_) / requests_;
  if (static_cast<Duration::rep>(clients) * each > kHopelessTargets * target()) begin_overload(now);
}

void Admission::begin_overload(Time now) noexcept {
  level_ = Level::late;
  critical_queue_ = {};
  if (in_spell_) return;
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
