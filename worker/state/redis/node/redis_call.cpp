#include "worker/state/redis/node/redis_call.h"

#include <utility>

#include "worker/state/redis/node/call_router.h"
#include "worker/state/redis/node/call_schedule.h"
#include "worker/state/redis/node/redis_node.h"

namespace pronghorn::worker {
namespace {

// steady_clock and uv_hrtime() are the same clock.
std::uint64_t nanoseconds_of(std::chrono::steady_clock::time_point time) noexcept {
  if (time == std::chrono::steady_clock::time_point::max()) return UINT64_MAX;
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  return since > 0 ? static_cast<std::uint64_t>(since) : 1;
}

}  // namespace

RedisCall::RedisCall(RedisNode* node, CallRouter* router, CallSchedule& schedule, const CallOptions& options) noexcept
    : node_(node),
      router_(router),
      schedule_(schedule),
      until_ns_(nanoseconds_of(options.until)),
      may_be_stale_(options.may_be_stale) {}

RedisCall::RedisCall(CallRouter& router) noexcept : RedisCall(nullptr, &router, router.schedule(), {}) {}

RedisCall::RedisCall(RedisNode& node, const CallOptions& options) noexcept
    : RedisCall(&node, nullptr, node.schedule(), options) {}

RedisCall::~RedisCall() {
  if (outstanding() > 0 || ready_position_ != SIZE_MAX) forget();
}

void RedisCall::send(std::span<const std::string_view> words) {
  if (node_ != nullptr) {
    node_->issue(*this, words);
  } else {
    router_->issue(*this, words);
  }
}

void RedisCall::send(const Command& command) {
  const std::vector<std::string_view> words(command.words().begin(), command.words().end());
  send(words);
}

void RedisCall::await_resume() const {
  if (!failed()) return;
  if (misuse_) throw RedisError(failure_);
  throw RedisUnavailable(failure_);
}

std::uint64_t RedisCall::connection(std::size_t index) const noexcept {
  if (node_ != nullptr) return node_->connection();
  return routed_ ? routed_->units[routed_->unit_of(static_cast<std::uint32_t>(index))].connection : 0;
}

void RedisCall::accept(Reply&& reply) {
  if (received_++ == 0) {
    first_ = std::move(reply);
  } else {
    if (others_.empty()) others_.reserve(sent_ - 1);
    others_.push_back(std::move(reply));
  }
}

void RedisCall::forget() noexcept {
  schedule_.forget(*this);
  if (outstanding() == 0) return;
  if (node_ != nullptr) {
    node_->forget(*this);
  } else {
    router_->forget(*this);
  }
}

void RedisCall::fail(std::string_view why, bool misuse) {
  if (failed()) return;
  forget();
  failure_ = why.empty() ? "Redis is unavailable" : why;
  misuse_ = misuse;
  schedule_.make_ready(*this);
}

}  // namespace pronghorn::worker
