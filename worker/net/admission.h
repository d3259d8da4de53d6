// Decides which requests are refused because the worker is overloaded: CoDel's rule (RFC 8289) on how long requests
// have waited between their arrival in the kernel and their dispatch. See docs/overload.md.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "pronghorn/priority.h"

namespace pronghorn::worker {

// No I/O; the clock is passed in: `now`, and `polled`, the time at which the loop's poll returned that reported what is
// handled now.
//
// A worker is overloaded when requests have waited for more than 5 ms for 100 ms, in each turn of its loop several: a
// queue stands that no burst explains. It no longer is after a turn that has found none or one: refusing the only one
// that waits helps nobody. (CoDel looks at the shortest wait, of a queue whose oldest comes first, and never drops the
// last packet. A poll reports sockets in an order of its own.) A spell of overload
// lasts until the worker has not been overloaded for half a second; within a spell, 20 ms are enough to be overloaded
// again.
//
// Two kinds of queues tell sooner, or at ten times of what the worker can do requests would wait for up to 100 ms.
// 50 ms are enough when the queue grows fast: this turn has taken twice as long as the one before, in which all that it
// dispatches has arrived. And if so many clients wait to be accepted that the last of them would wait for 120 ms, the
// worker is overloaded at once.
//
// A stall, which is one handler that occupies the loop for more than 10 ms, leaves a queue too. Before a spell, the
// time for which that queue lasts counts only after twice the length of the stall (at most 100 ms): at 0.7 times of
// what the worker can do, it is gone by then.
//
// If the handlers take longer than 5 ms, requests wait for as long even in an idle worker: then the time that a handler
// occupies the loop takes the place of the 5 ms, up to 50 ms, and everything else grows with it.
//
// Context: loop thread.
class Admission {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  static constexpr Duration kTarget = std::chrono::milliseconds(5);
  static constexpr Duration kLongestTarget = std::chrono::milliseconds(50);
  static constexpr int kIntervalTargets = 20;  // 100 ms
  static constexpr int kGrowthTargets = 10;    // 50 ms: the interval when the queue grows fast
  static constexpr int kReturnTargets = 4;     // 20 ms: the interval within a spell
  static constexpr int kStallTargets = 2;      // 10 ms: a handler that occupies the loop for longer is a stall
  static constexpr int kLateTargets = 2;       // 10 ms: a request that has waited for longer is late
  static constexpr int kCriticalTargets = 20;  // 100 ms: if even critical requests wait for longer, they are too many
  static constexpr int kHopelessTargets = 24;  // 120 ms: if the last client in the queue will wait for longer
  static constexpr Time kNever = Time::min();
  static constexpr Duration kCalm = std::chrono::milliseconds(500);

  // `on` false: nothing is ever refused.
  explicit Admission(bool on) noexcept : on_(on), calm_until_(on ? kNever : Time::max()) {}

  // The loop has been busy from `began` to `ended` without looking for what has arrived, or did not take all of it.
  // Calls are needed only for turns of 2 ms and longer.
  void turn_was_long(Time began, Time ended) noexcept;

  // Call for each request when it is dispatched. True, which is usual, means that it cannot have waited for long and
  // that it is to be executed. Otherwise call looks_calm().
  [[nodiscard]] bool usual(Time now) noexcept {
    if (now > calm_until_) return false;
    dispatched_ = now;
    return true;
  }
  // The same, looked at more closely. If this is false too, call dispatched() and admits().
  [[nodiscard]] bool looks_calm(Time now, Time polled) noexcept;
  void dispatched(Time now, Time polled) noexcept;
  // Whether it can have waited for longer than the target, so that asking the kernel is worth a system call.
  [[nodiscard]] bool may_have_waited(Time now, Time polled) const noexcept {
    return now - polled > kTarget || polled <= suspect_until_;
  }
  // The longest that it can have waited, for sockets of which the kernel does not tell.
  [[nodiscard]] Duration longest_wait(Time now, Time polled) const noexcept {
    return now - (polled <= suspect_until_ ? long_began_ : polled);
  }
  // Whether the request is to be executed. `wait`: nullopt if it is unknown how long the worker made it wait.
  [[nodiscard]] bool admits(Priority priority, Time now, std::optional<Duration> wait) noexcept;

  // Whether to call clients_wait() before the next request: some have waited, and the worker may be overloaded.
  [[nodiscard]] bool asks_for_queue() const noexcept { return queue_.since != kNever && !in_spell_; }
  // So many clients wait to be accepted, each with a request.
  void clients_wait(std::size_t clients, Time now) noexcept;

  enum class Change : std::uint8_t { none, began, ended };
  // What has changed since the last call. Call it several times a second.
  [[nodiscard]] Change tick(Time now) noexcept;

  // When the current spell began; nullopt: there is none.
  [[nodiscard]] std::optional<Time> overloaded_since() const noexcept {
    return in_spell_ ? std::optional(spell_began_) : std::nullopt;
  }
  // Requests refused in the current or the last spell.
  [[nodiscard]] std::uint64_t shed(Priority priority) const noexcept {
    return shed_[static_cast<std::size_t>(priority)];
  }
  // A normal request that has waited for longer is refused while the worker is overloaded.
  [[nodiscard]] Duration longest_admitted_wait() const noexcept { return kLateTargets * target(); }

 private:
  enum class Level : std::uint8_t {
    none,
    late,           // background, and normal requests that are late
    only_critical,  // all but critical ones, and of those the late ones
  };
  [[nodiscard]] Duration target() const noexcept;
  // Since when requests wait for longer than a limit. What waits only within a turn says nothing once the turn has
  // ended: a burst that arrived together.
  struct Queue {
    Time since = kNever;
    bool seen = false;  // in this turn: a request …
    int stood = 0;      // … and how many that had waited for longer when the turn began

    void add(Duration wait, Duration before_turn, Duration limit, Time now) noexcept;
    void end_turn() noexcept;
    // Time before `from` does not count.
    [[nodiscard]] bool has_lasted(Duration interval, Time now, Time from = kNever) const noexcept {
      return since != kNever && now - std::max(since, from) >= interval;
    }
  };

  void observe(Priority priority, Time now, Duration wait) noexcept;
  [[nodiscard]] bool queue_stands(Time now) const noexcept;
  void begin_turn(Time now, Time polled) noexcept;
  void end_turn() noexcept;
  void occupied(Time began, Time ended) noexcept;
  void begin_overload(Time now) noexcept;

  bool on_;
  bool in_spell_ = false;
  bool told_ = false;           // tick() has reported the spell
  bool critical_shed_ = false;  // in this spell the level was only_critical
  Level level_ = Level::none;
  Time calm_until_;              // what is dispatched until then cannot have waited for longer than the target
  Time suspect_until_ = kNever;  // what is polled until then may have arrived during a long turn …
  Time long_began_ = kNever;     // … that began then
  Duration long_time_{};         // … and lasted for so long
  Time turn_ = kNever;           // the poll that reported what is dispatched now
  Duration last_turn_{};         // how long the turn before that lasted; 0: not long
  Time first_ = kNever;          // when the first request of this turn was dispatched that had not been usual …
  int requests_ = 0;             // … and how many have been since
  Time excused_until_ = kNever;  // until then a stall may have made the queue
  Time dispatched_ = kNever;     // the last request
  Queue queue_;                  // of requests that have waited for longer than the target
  Queue critical_queue_;         // of critical requests that have waited for far longer
  Time overloaded_ = kNever;     // when the worker was last known to be
  Time spell_began_ = kNever;
  double occupied_ns_ = 0;  // by a handler, averaged over busy time, so that long ones count as much as they are felt
  std::array<std::uint64_t, 3> shed_{};
};

}  // namespace pronghorn::worker
