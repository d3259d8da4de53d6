#include "worker/state/redis/node/call_schedule.h"

#include <utility>

#include "worker/state/redis/node/redis_call.h"

namespace pronghorn::worker {

CallSchedule::CallSchedule(uv_loop_t* loop, CounterArray& counters)
    : counters_(counters), timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {}

void CallSchedule::make_ready(RedisCall& call) {
  if (call.deadline_ns_ != 0) forget_deadline(call);
  if (!call.waiting_ || call.ready_position_ != SIZE_MAX) return;
  call.ready_position_ = ready_.size();
  ready_.push_back(&call);
}

void CallSchedule::resume() {
  if (std::exchange(resuming_, true)) return;  // a caller further up the stack continues
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    RedisCall* call = std::exchange(ready_[i], nullptr);
    if (call == nullptr) continue;
    call->ready_position_ = SIZE_MAX;
    std::exchange(call->waiting_, nullptr).resume();
  }
  ready_.clear();
  resuming_ = false;
}

void CallSchedule::fail_at(RedisCall& call, std::uint64_t at_ns) {
  if (!timer_ || (call.deadline_ns_ != 0 && call.deadline_ns_ <= at_ns)) return;
  forget_deadline(call);
  call.deadline_ns_ = at_ns;
  deadlines_.emplace(at_ns, &call);
  if (deadlines_.begin()->second == &call) arm();
}

void CallSchedule::forget(RedisCall& call) noexcept {
  if (call.ready_position_ != SIZE_MAX) ready_[call.ready_position_] = nullptr;
  forget_deadline(call);
}

void CallSchedule::forget_deadline(RedisCall& call) noexcept {
  if (call.deadline_ns_ == 0) return;
  const auto [first, last] = deadlines_.equal_range(std::exchange(call.deadline_ns_, 0));
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second != &call) continue;
    deadlines_.erase(entry);
    return;
  }
}

void CallSchedule::arm() {
  if (deadlines_.empty() || !timer_) return;
  const std::uint64_t now = uv_hrtime(), next = deadlines_.begin()->first;
  start(next > now ? (next - now) / 1'000'000 + 1 : 1);
}

void CallSchedule::start(std::uint64_t delay_ms) {
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<CallSchedule*>(timer->data)->on_time(); }, delay_ms, 0);
}

void CallSchedule::on_time() {
  const std::uint64_t now = uv_hrtime();
  if (deadlines_.empty() || deadlines_.begin()->first > now) {
    last_chance_ = false;
    return arm();
  }
  // After a handler has blocked the loop, the replies may be in the socket, unread: let the loop read them first.
  if (!std::exchange(last_chance_, true)) return start(1);
  last_chance_ = false;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    RedisCall& call = *deadlines_.begin()->second;
    add(counters_[Count::redis_errors]);
    call.fail(call.until_ns_ <= now ? "Redis did not answer before the deadline of the request"
                                    : "Redis did not answer in time");
  }
  arm();
  resume();
}

}  // namespace pronghorn::worker
