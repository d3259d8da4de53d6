// Commands that one coroutine sends together, and the wait for their replies.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/redis.h"
#include "worker/state/redis/slots/routed_commands.h"

namespace pronghorn::worker {

class CallRouter;
class CallSchedule;
class ClusterRouter;
class RedisClient;
class RedisNode;

// Why a call fails whose CallOptions::until has passed.
inline constexpr std::string_view kNoTimeLeft = "the deadline of the request has passed";

struct CallOptions {
  // When the call fails at the latest. The option redis_timeout limits every command too.
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
  bool may_be_stale = false;  // reads may go to a replica, if the client has_replicas()
  bool names_keys = true;     // run_script() names the keys in an error: name_keys()
};

//   RedisCall call(client);
//   call.send({"INCR", key});
//   call.send({"PEXPIRE", key, "1000"});
//   co_await call;                        // throws RedisUnavailable
//   call.reply(0).integer();
//
// In a cluster, each command goes to the node of its keys, and MULTI … EXEC goes to the node of the keys in between. All
// keys of one command or of one transaction must be in one slot: give them the same hash tag, as in "{user:7}:cart".
// Otherwise the await throws RedisError.
//
// Context:   loop thread. Send all commands before awaiting the call, with no other await in between.
// Ownership: a local variable of the coroutine that awaits it. Destroying it drops the replies; Redis may still carry
//            out the commands.
class RedisCall {
 public:
  explicit RedisCall(RedisClient& client, const CallOptions& options = {}) noexcept;  // in redis_client.cpp
  explicit RedisCall(CallRouter& router) noexcept;
  explicit RedisCall(RedisNode& node, const CallOptions& options = {}) noexcept;  // to this node, whatever the keys are
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

  // The connection over which the reply has come, as RedisNode::connection(); 0 if it may have broken since.
  [[nodiscard]] std::uint64_t connection(std::size_t index) const noexcept;
  // Valid after the await, in the order of the commands. May be an error reply.
  [[nodiscard]] Reply& reply(std::size_t index = 0) noexcept { return index == 0 ? first_ : others_[index - 1]; }

 private:
  friend class CallSchedule;
  friend class ClusterRouter;
  friend class RedisNode;

  RedisCall(RedisNode* node, CallRouter* router, CallSchedule& schedule, const CallOptions& options) noexcept;

  [[nodiscard]] bool failed() const noexcept { return !failure_.empty(); }
  [[nodiscard]] std::size_t outstanding() const noexcept { return failed() ? 0 : sent_ - received_; }
  void accept(Reply&& reply);
  // Takes the call's commands out of all queues, and has it resumed. `misuse`: the application's mistake.
  void fail(std::string_view why, bool misuse = false);
  void forget() noexcept;

  RedisNode* node_;     // null in a cluster
  CallRouter* router_;  // null unless in a cluster
  CallSchedule& schedule_;
  std::coroutine_handle<> waiting_;
  std::uint64_t first_sequence_ = 0;  // of its first command in the node's queue
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  std::size_t ready_position_ = SIZE_MAX;  // in the list of calls to resume
  std::uint64_t until_ns_;                 // CallOptions::until; UINT64_MAX: none
  std::uint64_t deadline_ns_ = 0;          // in the schedule; 0: not there
  Reply first_;                            // nearly every call has one reply only
  std::vector<Reply> others_;              //
  RoutedCommandsPtr routed_;               // in a cluster: the commands, until they are answered
  std::string failure_;                    // why the call failed; empty: it has not
  bool misuse_ = false;
  bool may_be_stale_ = false;
};

}  // namespace pronghorn::worker
