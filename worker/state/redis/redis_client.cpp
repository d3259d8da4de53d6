#include "worker/state/redis/redis_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/encode_command.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kProbeEveryMs = 1'000;
constexpr std::string_view kCannotSave = "MISCONF";  // the error code of a server that cannot save its data

// Errors of a server that has become a replica or has lost its primary: a new connection may reach the right server.
bool is_wrong_server(const Reply& reply) noexcept {
  return reply.is_error() && (reply.error().starts_with("READONLY") || reply.error().starts_with("MASTERDOWN"));
}

}  // namespace

RedisClient::RedisClient(uv_loop_t* loop, RedisUrl url, milliseconds timeout, WorkerRow& row)
    : row_(row),
      link_(loop, std::move(url), timeout, row, *this),
      timeout_ns_(static_cast<std::uint64_t>(std::chrono::nanoseconds(link_.timeout()).count())),
      prepare_(make_uv<uv_prepare_t>(loop, uv_prepare_init, this)),
      sweep_timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)),
      probe_timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {}

RedisClient::~RedisClient() { close(); }

void RedisClient::start(std::function<void(std::string)> on_fatal) { link_.start(std::move(on_fatal)); }

void RedisClient::close() {
  if (std::exchange(closed_, true)) return;
  link_.close();
  prepare_.reset();
  sweep_timer_.reset();
  probe_timer_.reset();
  fail_all("the worker is stopping");
  resume_ready();
}

// ---- commands out

void RedisClient::issue(RedisCall& call, std::span<const std::string_view> words) {
  if (!call.failure_.empty()) return;
  if (const std::string why = obstacle(call, words); !why.empty()) {
    add(row_[Count::redis_errors]);
    return fail(call, why);
  }
  if (call.sent_++ == 0) call.first_sequence_ = front_sequence_ + pending_.size();
  add(row_[Count::redis_commands]);
  enqueue(&call, words);
}

// Why a command cannot be sent; empty if it can.
std::string RedisClient::obstacle(const RedisCall& call, std::span<const std::string_view> words) const {
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

void RedisClient::enqueue(RedisCall* call, std::span<const std::string_view> words) {
  const std::uint64_t now = uv_hrtime();
  pending_.push_back({call, now});
  append_command(output_, words);
  flush_before_poll();
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(sweep_timer_.get())) == 0) arm_sweep(now);
}

void RedisClient::flush_before_poll() {
  if (!link_.up() || output_.empty()) return;
  uv_prepare_start(prepare_.get(), [](uv_prepare_t* prepare) { static_cast<RedisClient*>(prepare->data)->flush(); });
}

void RedisClient::flush() {
  uv_prepare_stop(prepare_.get());
  if (!link_.up() || output_.empty() || link_.writing()) return;
  if (const int error = link_.write(output_); error != 0) link_.lost(uv_strerror(error));
}

// ---- replies in

void RedisClient::link_up(std::string_view refusal) {
  if (refusal.empty()) {
    writes_accepted();
  } else {
    writes_refused(refusal);
  }
  flush_before_poll();  // the commands that waited for the connection
}

void RedisClient::link_replied(Reply reply, std::uint64_t received_ns) {
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
  if (reply.is_error() && !reply.error().starts_with("NOSCRIPT")) {
    add(row_[Count::redis_errors]);
    if (reply.error().starts_with(kCannotSave)) writes_refused(reply.error());
  } else if (front_sequence_ - 1 == probe_) {
    writes_accepted();
  }
  const std::string lost_because = is_wrong_server(reply) ? std::string(reply.error()) : std::string();
  if (entry.call != nullptr) {
    entry.call->accept(std::move(reply));
    if (entry.call->outstanding() == 0) make_ready(*entry.call);
  }
  if (!lost_because.empty()) link_.lost(lost_because);
}

// ---- writes that Redis refuses

void RedisClient::writes_refused(std::string_view error) {
  row_.redis_state.store(RedisState::down, std::memory_order_relaxed);
  if (std::exchange(refuses_writes_, true)) return;
  log_warning("Redis refuses writes", {{"address", address()}, {"reason", error}});
  uv_timer_start(
      probe_timer_.get(), [](uv_timer_t* timer) { static_cast<RedisClient*>(timer->data)->probe(); }, kProbeEveryMs,
      kProbeEveryMs);
}

void RedisClient::writes_accepted() {
  if (!std::exchange(refuses_writes_, false)) return;
  uv_timer_stop(probe_timer_.get());
  log_info("Redis accepts writes again", {{"address", address()}});
  if (link_.up()) row_.redis_state.store(RedisState::up, std::memory_order_relaxed);
}

// A Redis that cannot save refuses PING as well.
void RedisClient::probe() {
  const bool unanswered = probe_ != UINT64_MAX && probe_ >= front_sequence_;
  if (!link_.up() || unanswered) return;
  probe_ = front_sequence_ + pending_.size();
  enqueue(nullptr, std::array<std::string_view, 1>{"PING"});
}

// ---- calls

// The entries stay in the queue, so that their replies are counted off.
void RedisClient::forget(RedisCall& call) noexcept {
  if (call.ready_position_ != SIZE_MAX) ready_[call.ready_position_] = nullptr;
  if (call.sent_ == 0) return;
  const std::uint64_t end = call.first_sequence_ + call.sent_;
  for (std::uint64_t sequence = std::max(call.first_sequence_, front_sequence_); sequence < end; ++sequence) {
    const auto position = static_cast<std::size_t>(sequence - front_sequence_);
    if (position < pending_.size()) pending_[position].call = nullptr;
  }
}

void RedisClient::fail(RedisCall& call, std::string_view why) {
  forget(call);
  call.failure_ = why;
  make_ready(call);
}

void RedisClient::fail_all(std::string_view why) {
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (i >= expired_) add(row_[Count::redis_errors]);
    if (pending_[i].call != nullptr) fail(*pending_[i].call, why);
  }
  front_sequence_ += pending_.size();
  pending_.clear();
  expired_ = 0;
  output_.clear();
  if (sweep_timer_) uv_timer_stop(sweep_timer_.get());
}

void RedisClient::make_ready(RedisCall& call) {
  if (!call.waiting_ || call.ready_position_ != SIZE_MAX) return;  // not awaited yet: await_ready() will see it
  call.ready_position_ = ready_.size();
  ready_.push_back(&call);
}

// Coroutines run only here. They may send commands, destroy calls and close this client, so the list may change during
// the loop.
void RedisClient::resume_ready() {
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
std::uint64_t RedisClient::next_expiry_ns() const noexcept {
  std::uint64_t next = UINT64_MAX;
  if (expired_ < pending_.size()) next = pending_[expired_].issued_ns + timeout_ns_;
  if (expired_ > 0) next = std::min(next, pending_.front().issued_ns + 2 * timeout_ns_);
  return next;
}

void RedisClient::arm_sweep(std::uint64_t now_ns) {
  const std::uint64_t next = next_expiry_ns();
  if (next == UINT64_MAX) return;
  start_sweep(next > now_ns ? (next - now_ns) / 1'000'000 + 1 : 1);
}

void RedisClient::start_sweep(std::uint64_t delay_ms) {
  uv_timer_start(
      sweep_timer_.get(), [](uv_timer_t* timer) { static_cast<RedisClient*>(timer->data)->sweep(); }, delay_ms, 0);
}

void RedisClient::sweep() {
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

void RedisClient::expire(std::uint64_t now_ns) {
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
