#include "worker/state/redis/redis_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/link/encode_command.h"
#include "worker/state/redis/link/reply_errors.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kTryEveryMs = 1'000;
constexpr std::uint64_t kSwitchEveryMs = 5'000;

}  // namespace

RedisNode::RedisNode(uv_loop_t* loop, TargetSource source, LinkSettings settings, WorkerRow& row)
    : row_(row),
      status_(row),
      link_(loop, std::move(source), std::move(settings), *this),
      timeout_ns_(static_cast<std::uint64_t>(std::chrono::nanoseconds(link_.timeout()).count())),
      prepare_(make_uv<uv_prepare_t>(loop, uv_prepare_init, this)),
      sweep_timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)),
      trial_timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {
  status_.set(RedisState::connecting);
}

RedisNode::~RedisNode() { close(); }

void RedisNode::start(std::function<void(std::string)> on_fatal) { link_.start(std::move(on_fatal)); }

void RedisNode::close() {
  if (std::exchange(closed_, true)) return;
  link_.close();
  prepare_.reset();
  sweep_timer_.reset();
  trial_timer_.reset();
  fail_all("the worker is stopping");
  resume_ready();
}

// ---- commands out

void RedisNode::issue(RedisCall& call, std::span<const std::string_view> words) {
  if (!call.failure_.empty()) return;
  if (const std::string why = obstacle(call, words); !why.empty()) {
    add(row_[Count::redis_errors]);
    return fail(call, why);
  }
  if (call.sent_++ == 0) call.first_sequence_ = front_sequence_ + pending_.size();
  add(row_[Count::redis_commands]);
  enqueue(&call, words);
}

void RedisNode::post(std::span<const std::string_view> words) {
  if (!link_.obstacle().empty() || pending_.size() >= kMaxPending) return;
  add(row_[Count::redis_commands]);
  enqueue(nullptr, words);
}

// Why a command cannot be sent; empty if it can.
std::string RedisNode::obstacle(const RedisCall& call, std::span<const std::string_view> words) const {
  if (std::string why = link_.obstacle(); !why.empty()) return why;
  // A call that has begun is not refused: half of a transaction must not stay on the connection.
  if (call.sent_ == 0 && (pending_.size() >= kMaxPending || output_.size() >= kMaxOutput)) {
    return fmt::format("the queue for Redis is full: {} commands", pending_.size());
  }
  std::size_t size = 0;
  for (const std::string_view word : words) size += word.size();
  if (size > kMaxCommand) return "a command for Redis exceeds 512 MiB";
  return {};
}

void RedisNode::enqueue(RedisCall* call, std::span<const std::string_view> words) {
  const std::uint64_t now = uv_hrtime();
  pending_.push_back({call, now});
  ++unsent_;
  append_command(output_, words);
  flush_before_poll();
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(sweep_timer_.get())) == 0) arm_sweep(now);
}

void RedisNode::flush_before_poll() {
  if (!link_.up() || output_.empty()) return;
  uv_prepare_start(prepare_.get(), [](uv_prepare_t* prepare) { static_cast<RedisNode*>(prepare->data)->flush(); });
}

void RedisNode::flush() {
  uv_prepare_stop(prepare_.get());
  if (!link_.up() || output_.empty() || link_.writing() || switching_) return;
  unsent_ = 0;
  if (const int error = link_.write(output_); error != 0) link_.lost(uv_strerror(error));
}

// ---- replies in

void RedisNode::link_up(std::string_view refusal) {
  switching_ = false;
  trial_ms_ = uv_hrtime() / 1'000'000;
  writes_.moved_to(link_.address());
  tried_write(refusal);
  flush_before_poll();  // the commands that waited for the connection
}

void RedisNode::link_replied(Reply reply, std::uint64_t received_ns) {
  if (pending_.empty()) {
    // Redis sends an error before it closes a connection that it does not want.
    return link_.lost(reply.is_error() ? reply.error() : "a reply without a command");
  }
  const Pending entry = pending_.front();
  pending_.pop_front();
  ++front_sequence_;
  if (expired_ > 0) --expired_;
  const std::uint64_t taken_us = (received_ns - std::min(entry.issued_ns, received_ns)) / 1000;
  const std::uint64_t average = row_[Count::redis_latency].load(std::memory_order_relaxed);
  row_[Count::redis_latency].store(average == 0 ? taken_us : (average * 15 + taken_us) / 16, std::memory_order_relaxed);
  // NOSCRIPT only asks for the whole script.
  if (reply.is_error() && !reply.error().starts_with("NOSCRIPT")) add(row_[Count::redis_errors]);
  if (front_sequence_ - 1 == trial_) {
    tried_write(reply.is_error() ? std::string_view(reply.error()) : std::string_view());
  } else if (is_refusal(reply)) {
    try_write_soon();
  }
  if (entry.call == nullptr) return;
  entry.call->accept(std::move(reply));
  if (entry.call->outstanding() == 0) make_ready(*entry.call);
}

void RedisNode::link_down(std::string_view reason) {
  status_.set(RedisState::down, reason);
  fail_all(link_.obstacle());
}

void RedisNode::link_settled() {
  if (switching_) switch_connection();
  resume_ready();
}

// ---- trial writes

void RedisNode::tried_write(std::string_view error) {
  writes_.tried(error);
  if (!link_.up()) return;
  status_.set(writes_.refused() ? RedisState::down : RedisState::up, writes_.reason());
  if (writes_.refused()) {
    start_trials();
  } else {
    uv_timer_stop(trial_timer_.get());
  }
}

void RedisNode::start_trials() {
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(trial_timer_.get())) != 0) return;
  const auto on_time = [](uv_timer_t* timer) {
    auto* node = static_cast<RedisNode*>(timer->data);
    node->try_write();
    node->link_settled();
  };
  switch_ms_ = uv_hrtime() / 1'000'000 + kSwitchEveryMs;
  uv_timer_start(trial_timer_.get(), on_time, kTryEveryMs, kTryEveryMs);
}

void RedisNode::try_write() {
  const bool unanswered = trial_ != UINT64_MAX && trial_ >= front_sequence_;
  if (!link_.up() || unanswered || switching_ || link_.target().trial_key.empty()) return;
  const std::uint64_t now_ms = uv_hrtime() / 1'000'000;
  if (is_wrong_server(writes_.reason()) && now_ms >= switch_ms_) {
    switching_ = true;
    return;
  }
  trial_ = front_sequence_ + pending_.size();
  trial_ms_ = now_ms;
  enqueue(nullptr, RedisLink::trial_write(link_.target().trial_key));
}

// A command was refused: finds out whether it is that command alone.
void RedisNode::try_write_soon() {
  if (writes_.refused()) return;
  start_trials();
  if (uv_hrtime() / 1'000'000 - trial_ms_ >= kTryEveryMs / 10) try_write();
}

// The login of the new connection tries a write as well.
void RedisNode::switch_connection() {
  if (!link_.up() || pending_.size() > unsent_) return;
  switching_ = false;
  switch_ms_ = uv_hrtime() / 1'000'000 + kSwitchEveryMs;
  link_.reconnect();
}

// ---- calls

// The entries stay in the queue, so that their replies are counted off.
void RedisNode::forget(RedisCall& call) noexcept {
  if (call.ready_position_ != SIZE_MAX) ready_[call.ready_position_] = nullptr;
  if (call.sent_ == 0) return;
  const std::uint64_t end = call.first_sequence_ + call.sent_;
  for (std::uint64_t sequence = std::max(call.first_sequence_, front_sequence_); sequence < end; ++sequence) {
    const auto position = static_cast<std::size_t>(sequence - front_sequence_);
    if (position < pending_.size()) pending_[position].call = nullptr;
  }
}

void RedisNode::fail(RedisCall& call, std::string_view why) {
  forget(call);
  call.failure_ = why;
  make_ready(call);
}

void RedisNode::fail_all(std::string_view why) {
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (i >= expired_) add(row_[Count::redis_errors]);
    if (pending_[i].call != nullptr) fail(*pending_[i].call, why);
  }
  front_sequence_ += pending_.size();
  pending_.clear();
  expired_ = unsent_ = 0;
  switching_ = false;
  output_.clear();
  if (sweep_timer_) uv_timer_stop(sweep_timer_.get());
}

void RedisNode::make_ready(RedisCall& call) {
  if (!call.waiting_ || call.ready_position_ != SIZE_MAX) return;  // not awaited yet: await_ready() will see it
  call.ready_position_ = ready_.size();
  ready_.push_back(&call);
}

// Coroutines run only here. They may send commands, destroy calls and close this client, so the list may change during
// the loop.
void RedisNode::resume_ready() {
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

// ---- deadlines

// When the next command misses its deadline, or when the oldest has been without a reply for twice that time and the
// connection is given up.
std::uint64_t RedisNode::next_expiry_ns() const noexcept {
  std::uint64_t next = UINT64_MAX;
  if (expired_ < pending_.size()) next = pending_[expired_].issued_ns + timeout_ns_;
  if (expired_ > 0) next = std::min(next, pending_.front().issued_ns + 2 * timeout_ns_);
  return next;
}

void RedisNode::arm_sweep(std::uint64_t now_ns) {
  const std::uint64_t next = next_expiry_ns();
  if (next == UINT64_MAX) return;
  start_sweep(next > now_ns ? (next - now_ns) / 1'000'000 + 1 : 1);
}

void RedisNode::start_sweep(std::uint64_t delay_ms) {
  uv_timer_start(
      sweep_timer_.get(), [](uv_timer_t* timer) { static_cast<RedisNode*>(timer->data)->sweep(); }, delay_ms, 0);
}

void RedisNode::sweep() {
  const std::uint64_t now = uv_hrtime();
  if (next_expiry_ns() > now) {
    last_chance_ = false;
    return arm_sweep(now);
  }
  // After a handler has blocked the loop, the replies may be in the socket, unread: let the loop read them first. Not a
  // timer of 0 ms: libuv 1.44 would run it before it looks at the sockets.
  if (!std::exchange(last_chance_, true)) return start_sweep(1);
  last_chance_ = false;
  expire(now);
  resume_ready();
}

void RedisNode::expire(std::uint64_t now_ns) {
  const auto timeout_ms = link_.timeout().count();
  const std::string why = fmt::format("Redis did not answer within {} ms", timeout_ms);
  while (expired_ < pending_.size() && pending_[expired_].issued_ns + timeout_ns_ <= now_ns) {
    add(row_[Count::redis_errors]);
    if (RedisCall* call = pending_[expired_].call) fail(*call, why);
    ++expired_;
  }
  if (link_.up() && expired_ > 0 && pending_.front().issued_ns + 2 * timeout_ns_ <= now_ns) {
    link_.lost(fmt::format("no reply for {} ms", 2 * timeout_ms));
  } else {
    arm_sweep(now_ns);
  }
}

}  // namespace pronghorn::worker
