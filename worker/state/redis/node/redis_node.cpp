#include "worker/state/redis/node/redis_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/node/call_schedule.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/encode_command.h"
#include "worker/state/redis/protocol/reply_errors.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kTryEveryMs = 1'000;
constexpr std::uint64_t kSwitchEveryMs = 5'000;

std::uint64_t next_connection() noexcept {
  static std::uint64_t last = 0;
  return ++last;
}

}  // namespace

RedisNode::RedisNode(uv_loop_t* loop, TargetSource source, LinkSettings settings, CounterArray& counters,
                     CallSchedule& schedule, Owner& owner)
    : counters_(counters),
      schedule_(schedule),
      owner_(owner),
      link_(loop, std::move(source), std::move(settings), *this),
      timeout_ns_(static_cast<std::uint64_t>(std::chrono::nanoseconds(link_.timeout()).count())),
      prepare_(make_uv<uv_prepare_t>(loop, uv_prepare_init, this)),
      sweep_timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)),
      trial_timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)),
      probe_timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {}

RedisNode::~RedisNode() { close(); }

void RedisNode::start(std::function<void(std::string)> on_fatal) { link_.start(std::move(on_fatal)); }

void RedisNode::let_commands_wait() noexcept {
  timeout_ns_ = static_cast<std::uint64_t>(std::chrono::nanoseconds(std::chrono::years(1)).count());
}

void RedisNode::close() {
  if (std::exchange(closed_, true)) return;
  link_.close();
  prepare_.reset();
  sweep_timer_.reset();
  trial_timer_.reset();
  probe_timer_.reset();
  fail_all("the worker is stopping");
}

// ---- what it is like

RedisState RedisNode::state() const noexcept {
  if (link_.up()) return writes_.refused() || !circuit_.closed() ? RedisState::down : RedisState::up;
  return was_down_ ? RedisState::down : RedisState::connecting;
}

const std::string& RedisNode::reason() const noexcept {
  static const std::string silent = "it does not answer in time";
  if (!link_.up()) return down_reason_;
  return circuit_.closed() ? writes_.reason() : silent;
}

// An attempt to connect is the probe of a server to which there is no connection.
Circuit RedisNode::circuit() const noexcept {
  if (link_.up() || !was_down_) return circuit_.state();
  return link_.attempting() ? Circuit::half_open : Circuit::open;
}

// ---- commands out

void RedisNode::issue(RedisCall& call, std::span<const std::string_view> words) {
  if (call.failed()) return;
  std::size_t size = 0;
  for (const std::string_view word : words) size += word.size();
  // A call that has begun is not refused: half of a transaction must not stay on the connection.
  if (!is_free(size)) {
    if (const std::string why = obstacle(call.sent_ > 0, size); !why.empty()) {
      add(counters_[Count::redis_errors]);
      return call.fail(why);
    }
  }
  // All commands of a call are sent at one time.
  const std::uint64_t now = call.sent_ == 0 || pending_.empty() ? uv_hrtime() : pending_.back().issued_ns;
  if (call.sent_ == 0 && call.until_ns_ <= now) return call.fail(kNoTimeLeft);
  if (call.sent_++ == 0) {
    call.first_sequence_ = front_sequence_ + pending_.size();
    if (call.until_ns_ < now + timeout_ns_) schedule_.fail_at(call, call.until_ns_);
  }
  add(counters_[Count::redis_commands]);
  pending_.push_back({&call, now, 0});
  append_command(output_, words);
  ++unsent_;
  enqueued(now);
}

void RedisNode::post(std::span<const std::string_view> words) {
  if (!obstacle(false, 0).empty()) return;
  add(counters_[Count::redis_commands]);
  std::string bytes;
  append_command(bytes, words);
  enqueue(nullptr, 0, 1, bytes, uv_hrtime());
}

std::uint64_t RedisNode::enqueue(RedisCall* call, std::uint32_t first, std::uint32_t count, std::string_view bytes,
                                 std::uint64_t now_ns) {
  const std::uint64_t sequence = front_sequence_ + pending_.size();
  for (std::uint32_t i = 0; i < count; ++i) pending_.push_back({call, now_ns, first + i});
  output_.append(bytes);
  unsent_ += count;
  enqueued(now_ns);
  return sequence;
}

std::string RedisNode::obstacle(std::size_t size) const { return obstacle(false, size); }

std::string RedisNode::obstacle(bool begun, std::size_t size) const {
  if (std::string why = link_.obstacle(); !why.empty()) return why;
  if (!circuit_.closed()) return fmt::format("Redis at {} is unavailable: {}", address(), reason());
  if (!begun && (pending_.size() >= kMaxPending || output_.size() >= kMaxOutput)) {
    return fmt::format("the queue for Redis is full: {} commands", pending_.size());
  }
  if (size > kMaxCommand) return "a command for Redis exceeds 512 MiB";
  return {};
}

void RedisNode::enqueued(std::uint64_t now_ns) {
  flush_before_poll();
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(sweep_timer_.get())) == 0) arm_sweep(now_ns);
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
  connection_ = next_connection();
  switching_ = was_down_ = false;
  circuit_.close();
  trial_ms_ = uv_hrtime() / 1'000'000;
  writes_.moved_to(link_.address());
  tried_write(refusal);
  flush_before_poll();  // the commands that waited for the connection
}

void RedisNode::link_replied(Reply&& reply, std::uint64_t received_ns) {
  if (pending_.empty()) {
    // Redis sends an error before it closes a connection that it does not want.
    return link_.lost(reply.is_error() ? reply.error() : "a reply without a command");
  }
  const Pending entry = pending_.front();
  const std::uint64_t sequence = front_sequence_++;
  pending_.pop_front();
  count_reply(entry, received_ns);
  if (reply.is_error() && sequence != trial_) tell_forbidden(reply.error());
  if (entry.call != nullptr && entry.call->router_ != nullptr) {
    if (is_refusal(reply) && !is_redirection(reply.error())) try_write_soon();
    return owner_.node_replied(*this, *entry.call, entry.index, std::move(reply));
  }
  // NOSCRIPT only asks for the whole script, and a redirection for another node.
  if (reply.is_error() && !reply.error().starts_with("NOSCRIPT") && !is_redirection(reply.error())) {
    add(counters_[Count::redis_errors]);
  }
  if (sequence == probe_) probed(true);
  if (sequence == trial_) {
    const std::string_view error = reply.is_error() ? std::string_view(reply.error()) : std::string_view();
    if (!is_redirection(error)) tried_write(error);
  } else if (is_refusal(reply)) {
    try_write_soon();
  }
  if (entry.call == nullptr) return;
  entry.call->accept(std::move(reply));
  if (entry.call->outstanding() == 0) schedule_.make_ready(*entry.call);
}

void RedisNode::count_reply(const Pending& entry, std::uint64_t received_ns) {
  if (expired_ > 0) {
    --expired_;  // too late
  } else {
    circuit_.answered();
  }
  const std::uint64_t taken_us = (received_ns - std::min(entry.issued_ns, received_ns)) / 1000;
  Counter& latency = counters_[Count::redis_latency];
  const std::uint64_t average = latency.load(std::memory_order_relaxed);
  latency.store(average == 0 ? taken_us : (average * 15 + taken_us) / 16, std::memory_order_relaxed);
}

void RedisNode::link_down(std::string_view reason) {
  was_down_ = true;
  down_reason_ = reason;
  if (probe_timer_) uv_timer_stop(probe_timer_.get());
  circuit_.close();  // the link probes by connecting
  fail_all(link_.obstacle());
  owner_.node_changed(*this);
}

void RedisNode::link_settled() {
  if (switching_) switch_connection();
  schedule_.resume();
}

// A command that the user may not run, of those that trial writes do not need. Whoever has sent it does as if Redis were
// away, and says nothing.
void RedisNode::tell_forbidden(const std::string& error) {
  constexpr std::size_t kMostTold = 16;
  if (error_code(error) != "NOPERM" || writes_.refused() || forbidden_.size() >= kMostTold) return;
  if (!forbidden_.insert(error).second) return;
  log_error("Redis does not permit a command", {{"address", address()}, {"error", error}});
}

// ---- trial writes

void RedisNode::tried_write(std::string_view error) {
  writes_.tried(error);
  if (!link_.up()) return;
  if (writes_.refused()) {
    start_trials();
  } else {
    uv_timer_stop(trial_timer_.get());
  }
  owner_.node_changed(*this);
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
  if (!link_.up() || unanswered || switching_) return;
  const std::uint64_t now_ms = uv_hrtime() / 1'000'000;
  if (is_wrong_server(writes_.reason()) && now_ms >= switch_ms_) {
    switching_ = true;
    return;
  }
  trial_ms_ = now_ms;
  const std::string key = link_.trial_key();
  if (key.empty()) {  // a replica, or a node without slots
    uv_timer_stop(trial_timer_.get());
    return;
  }
  std::string bytes;
  append_command(bytes, RedisLink::trial_write(key));
  trial_ = enqueue(nullptr, 0, 1, bytes, uv_hrtime());
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

void RedisNode::switch_target() {
  if (link_.up()) {
    switching_ = true;
    link_settled();
  } else {
    link_.retry_now();
  }
}

// ---- the circuit

void RedisNode::opened() {
  log_warning("Redis does not answer in time; commands fail at once until it does", {{"address", address()}});
  owner_.node_changed(*this);
  probe();
}

// Waits, and then sends a PING.
void RedisNode::probe() {
  const auto on_time = [](uv_timer_t* timer) {
    auto* node = static_cast<RedisNode*>(timer->data);
    if (!node->link_.up()) return;
    node->circuit_.probing();
    std::string bytes;
    append_command(bytes, std::array<std::string_view, 1>{"PING"});
    node->probe_ = node->enqueue(nullptr, 0, 1, bytes, uv_hrtime());
    node->owner_.node_changed(*node);
  };
  uv_timer_start(probe_timer_.get(), on_time, circuit_.wait_ms(), 0);
}

void RedisNode::probed(bool answered) {
  probe_ = UINT64_MAX;
  if (answered) {
    circuit_.close();
    log_info("Redis answers in time again", {{"address", address()}});
  } else {
    circuit_.probe_missed();
    probe();
  }
  owner_.node_changed(*this);
}

// ---- calls

// The entries stay in the queue, so that their replies are counted off.
void RedisNode::forget(RedisCall& call) noexcept {
  if (call.sent_ > 0) forget(call.first_sequence_, static_cast<std::uint32_t>(call.sent_));
}

void RedisNode::forget(std::uint64_t first, std::uint32_t count) noexcept {
  const std::uint64_t end = first + count;
  for (std::uint64_t sequence = std::max(first, front_sequence_); sequence < end; ++sequence) {
    const auto position = static_cast<std::size_t>(sequence - front_sequence_);
    if (position < pending_.size()) pending_[position].call = nullptr;
  }
}

void RedisNode::fail_all(std::string_view why) {
  // Failing a call takes its other commands out of the queue.
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (i >= expired_) add(counters_[Count::redis_errors]);
    if (pending_[i].call != nullptr) pending_[i].call->fail(why);
  }
  front_sequence_ += pending_.size();
  pending_.clear();
  expired_ = unsent_ = 0;
  probe_ = UINT64_MAX;
  switching_ = false;
  output_.clear();
  if (sweep_timer_) uv_timer_stop(sweep_timer_.get());
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
  schedule_.resume();
}

void RedisNode::expire(std::uint64_t now_ns) {
  const auto timeout_ms = link_.timeout().count();
  const std::string why = fmt::format("Redis did not answer within {} ms", timeout_ms);
  bool has_opened = false;
  while (expired_ < pending_.size() && pending_[expired_].issued_ns + timeout_ns_ <= now_ns) {
    add(counters_[Count::redis_errors]);
    const std::uint64_t sequence = front_sequence_ + expired_;
    if (RedisCall* call = pending_[expired_].call) call->fail(why);
    ++expired_;
    if (sequence == probe_) probed(false);
    if (link_.up() && circuit_.missed()) has_opened = true;
  }
  if (link_.up() && expired_ > 0 && pending_.front().issued_ns + 2 * timeout_ns_ <= now_ns) {
    return link_.lost(fmt::format("no reply for {} ms", 2 * timeout_ms));
  }
  if (has_opened) opened();
  arm_sweep(now_ns);
}

}  // namespace pronghorn::worker
