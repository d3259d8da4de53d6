// The worker's commands to one Redis server: one queue over one connection, with a deadline for each command.
//
// All commands issued in one turn of the loop are sent in one write, just before the loop waits for events. Replies
// come back in the same order; each goes to the RedisCall that waits for it, or is dropped if that call was destroyed.
//
// While Redis refuses writes (a replica after a failover, a full disk or memory, missing permissions …) the connection
// stays open, because reads are answered. A trial write once a second detects recovery. If the server has become a
// replica, a new connection is made every few seconds, between commands, because the address may lead to the new
// primary by then.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "pronghorn/redis.h"
#include "worker/state/redis/link/redis_link.h"
#include "worker/state/redis/redis_call.h"
#include "worker/state/redis/redis_status.h"
#include "worker/state/redis/write_watch.h"

namespace pronghorn::worker {

// Context: loop thread. Must not be destroyed from within a coroutine that it resumes.
// Errors:  nothing throws except the constructor; a RedisCall reports what went wrong.
class RedisNode final : private RedisLink::Listener {
 public:
  static constexpr std::size_t kMaxPending = 100'000;            // commands waiting for replies
  static constexpr std::size_t kMaxOutput = 64 * 1024 * 1024;    // bytes not yet written, before one more command
  static constexpr std::size_t kMaxCommand = 512 * 1024 * 1024;  // bytes of one command

  // `settings.timeout` is the deadline of each command too. Writes the row's redis_* values.
  RedisNode(uv_loop_t* loop, TargetSource source, LinkSettings settings, WorkerRow& row);
  RedisNode(const RedisNode&) = delete;
  RedisNode& operator=(const RedisNode&) = delete;
  ~RedisNode();

  // Begins to connect. Until the first connection is up, commands wait for it, for `timeout` at most; later they fail
  // at once while there is no connection. `on_fatal`: see RedisLink::start().
  void start(std::function<void(std::string)> on_fatal);

  // Fails the commands in flight, resumes their callers, and closes all handles. Commands issued later fail. Calling it
  // again does nothing. Must not be called from within a coroutine that waits for Redis.
  void close();

  // Sends one command whose reply nobody waits for. Does nothing if it cannot be queued.
  void post(std::span<const std::string_view> words);

  // Whether a connection is up and logged in.
  [[nodiscard]] bool up() const noexcept { return link_.up(); }
  // Whether Redis refuses writes; it may still answer reads.
  [[nodiscard]] bool refuses_writes() const noexcept { return writes_.refused(); }
  [[nodiscard]] const std::string& address() const noexcept { return link_.address(); }

 private:
  friend class RedisCall;

  struct Pending {
    RedisCall* call;  // null: nobody waits for the reply
    std::uint64_t issued_ns;
  };

  // RedisLink::Listener
  void link_up(std::string_view refusal) override;
  void link_replied(Reply reply, std::uint64_t received_ns) override;
  void link_writable() override { flush(); }
  void link_down(std::string_view reason) override;
  void link_settled() override;

  // For RedisCall.
  void issue(RedisCall& call, std::span<const std::string_view> words);
  void forget(RedisCall& call) noexcept;

  [[nodiscard]] std::string obstacle(const RedisCall& call, std::span<const std::string_view> words) const;
  void enqueue(RedisCall* call, std::span<const std::string_view> words);
  void flush_before_poll();
  void flush();
  void fail(RedisCall& call, std::string_view why);
  void fail_all(std::string_view why);
  void make_ready(RedisCall& call);
  void resume_ready();

  void tried_write(std::string_view error);
  void try_write();
  void try_write_soon();
  void start_trials();
  void switch_connection();

  void sweep();
  void expire(std::uint64_t now_ns);
  void arm_sweep(std::uint64_t now_ns);
  void start_sweep(std::uint64_t delay_ms);
  [[nodiscard]] std::uint64_t next_expiry_ns() const noexcept;

  WorkerRow& row_;
  RedisStatus status_;
  RedisLink link_;
  WriteWatch writes_;
  std::uint64_t timeout_ns_;
  bool closed_ = false;

  std::string output_;  // commands not yet written
  std::deque<Pending> pending_;
  std::uint64_t front_sequence_ = 0;  // of pending_.front()
  std::size_t unsent_ = 0;            // how many at the back are in output_
  std::uint64_t trial_ = UINT64_MAX;  // sequence of the last trial write
  std::uint64_t trial_ms_ = 0;        // when it was sent
  std::uint64_t switch_ms_ = 0;       // when the connection may be switched again
  bool switching_ = false;            // nothing is sent until all replies are in, then the link reconnects
  std::size_t expired_ = 0;           // how many at the front have missed their deadline; their replies may still come
  bool last_chance_ = false;          // see sweep()
  std::vector<RedisCall*> ready_;     // calls to resume; null: destroyed meanwhile
  bool resuming_ = false;

  UvPtr<uv_prepare_t> prepare_;
  UvPtr<uv_timer_t> sweep_timer_;
  UvPtr<uv_timer_t> trial_timer_;
};

}  // namespace pronghorn::worker
