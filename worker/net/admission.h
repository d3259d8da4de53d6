// Decides which requests are refused because the worker is overloaded: CoDel's rule (RFC 8289) on how long requests
// have waited between their arrival in the kernel and their dispatch. See docs/overload.md.
#pragma once

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
  static constexpr int kReturnTargets = 4;     // 20 ms: the interval within a spell
  static constexpr int kLateTargets = 2;       // 10 ms: a request that has waited for longer is late
  static constexpr int kCriticalTargets = 20;  // 100 ms: if even critical requests wait for longer, they are too many
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
    [[nodiscard]] bool has_lasted(Duration interval, Time now) const noexcept {
      return since != kNever && now - since >= interval;
    }
  };

  void observe(Priority priority, Time now, Duration wait) noexcept;
  void end_turn() noexcept;
  void occupied(Duration time) noexcept;
  void begin_spell(Time now) noexcept;

  bool on_;
  bool in_spell_ = false;
  bool told_ = false;           // tick() has reported the spell
  bool critical_shed_ = false;  // in this spell the level was only_critical
  Level level_ = Level::none;
  Time calm_until_;              // what is dispatched until then cannot have waited for longer than the target
  Time suspect_until_ = kNever;  // what is polled until then may have arrived during a long turn …
  Time long_began_ = kNever;     // … that began then
  Time turn_ = kNever;           // the poll that reported what is dispatched now
  Time dispatched_ = kNever;     // the last request
  Queue queue_;                  // of requests that have waited for longer than the target
  Queue critical_queue_;         // of critical requests that have waited for far longer
  Time overloaded_ = kNever;     // when the worker was last known to be
  Time spell_began_ = kNever;
  double occupied_ns_ = 0;  // by a handler, averaged over busy time, so that long ones count as much as they are felt
  std::array<std::uint64_t, 3> shed_{};
};

}  // namespace pronghorn::worker
