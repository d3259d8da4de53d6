#include "worker/state/redis/redis_call.h"

#include <utility>

#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {

RedisCall::RedisCall(RedisClient& client) noexcept : node_(client.node_) {}

RedisCall::~RedisCall() {
  if (outstanding() > 0 || ready_position_ != SIZE_MAX) node_.forget(*this);
}

void RedisCall::send(std::span<const std::string_view> words) { node_.issue(*this, words); }

void RedisCall::send(const Command& command) {
  const std::vector<std::string_view> words(command.words().begin(), command.words().end());
  send(words);
}

void RedisCall::await_resume() const {
  if (!failure_.empty()) throw RedisUnavailable(failure_);
}

void RedisCall::accept(Reply reply) {
  if (received_++ == 0) {
    first_ = std::move(reply);
  } else {
    others_.push_back(std::move(reply));
  }
}

}  // namespace pronghorn::worker
