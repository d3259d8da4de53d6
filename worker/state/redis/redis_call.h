// Commands that one coroutine sends together, and the wait for their replies.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/redis.h"

namespace pronghorn::worker {

class RedisClient;
class RedisNode;

//   RedisCall call(client);
//   call.send({"INCR", key});
//   call.send({"PEXPIRE", key, "1000"});
//   co_await call;                        // throws RedisUnavailable
//   call.reply(0).integer();
//
// Context:   loop thread. Send all commands before awaiting the call, with no other await in between.
// Ownership: a local variable of the coroutine that awaits it. Destroying it drops the replies; Redis may still carry
//            out the commands.
class RedisCall {
 public:
  explicit RedisCall(RedisClient& client) noexcept;
  RedisCall(const RedisCall&) = delete;
  RedisCall& operator=(const RedisCall&) = delete;
  ~RedisCall();

  // Queues one command. If it cannot be queued, the await throws.
  void send(std::span<const std::string_view> words);
  void send(std::initializer_list<std::string_view> words) { send(std::span(words.begin(), words.size())); }
  void send(const Command& command);

  [[nodiscard]] bool await_ready() const noexcept { return outstanding() == 0; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
  void await_resume() const;

  // Valid after the await, in the order of the commands. May be an error reply.
  [[nodiscard]] Reply& reply(std::size_t index = 0) noexcept { return index == 0 ? first_ : others_[index - 1]; }

 private:
  friend class RedisNode;
  [[nodiscard]] std::size_t outstanding() const noexcept { return failure_.empty() ? sent_ - received_ : 0; }
  void accept(Reply reply);

  RedisNode& node_;
  std::coroutine_handle<> waiting_;
  std::uint64_t first_sequence_ = 0;  // of its first command in the node's queue
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  std::size_t ready_position_ = SIZE_MAX;  // in the node's list of calls to resume
  Reply first_;                            // nearly every call has one reply only
  std::vector<Reply> others_;
  std::string failure_;  // why the call failed; empty: it has not
};

}  // namespace pronghorn::worker
