// The worker's commands to one Redis server: one queue over one connection, with a deadline for each command.
//
// All commands issued in one turn of the loop are sent in one write, just before the loop waits for events. Replies
// come back in the same order; each goes to the RedisCall that waits for it, or is dropped if that call was destroyed.
//
// While Redis refuses writes (a replica after a failover, a full disk or memory, missing permissions …) the connection
// stays open, because reads are answered. A trial write once a second detects recovery. If the server has become a
// replica, a new connection is made every few seconds, between commands, because the address may lead to the new
// primary by then.
//
// A server that misses several deadlines in a row gets no more commands until a probe is answered: see CircuitBreaker.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "pronghorn/redis.h"
#include "worker/state/redis/health/circuit_breaker.h"
#include "worker/state/redis/health/write_watch.h"
#include "worker/state/redis/link/redis_link.h"

namespace pronghorn::worker {

class CallSchedule;
class RedisCall;

// Context: loop thread. Must not be destroyed from within a coroutine that it resumes, nor from within a function of its
//          owner: close() it, and destroy it in a later turn of the loop.
// Errors:  nothing throws except the constructor; a RedisCall reports what went wrong.
class RedisNode final : private RedisLink::Listener {
 public:
  static constexpr std::size_t kMaxPending = 100'000;            // commands waiting for replies
  static constexpr std::size_t kMaxOutput = 64 * 1024 * 1024;    // bytes not yet written, before one more command
  static constexpr std::size_t kMaxCommand = 512 * 1024 * 1024;  // bytes of one command

  class Owner {
   public:
    // What state(), reason(), circuit() or refuses_writes() return may have changed.
    virtual void node_changed(RedisNode& node) = 0;
    // The reply to a command of enqueue(), in a cluster.
    virtual void node_replied(RedisNode& node, RedisCall& call, std::uint32_t index, Reply&& reply) = 0;

   protected:
    ~Owner() = default;
  };

  // `settings.timeout` is the deadline of each command too. Counts the redis_* counters.
  RedisNode(uv_loop_t* loop, TargetSource source, LinkSettings settings, CounterArray& counters, CallSchedule& schedule,
            Owner& owner);
  RedisNode(const RedisNode&) = delete;
  RedisNode& operator=(const RedisNode&) = delete;
  ~RedisNode();

  // Begins to connect. Until the first connection is up, commands wait for it, for the timeout at most; later they fail
  // at once while there is no connection. `on_fatal`: see RedisLink::start().
  void start(std::function<void(std::string)> on_fatal);

  // Fails the commands in flight, and closes all handles. Commands issued later fail. Calling it again does nothing.
  void close();

  // Sends one command whose reply nobody waits for. Does nothing if it cannot be queued.
  void post(std::span<const std::string_view> words);

  // For RedisCall: queues a command of a call that goes to this node alone.
  void issue(RedisCall& call, std::span<const std::string_view> words);
  void forget(RedisCall& call) noexcept;

  // From now on commands have no deadline but that of their call: they may wait in Redis.
  void let_commands_wait() noexcept;

  // For a cluster: queues `count` encoded commands, whose replies have the indexes from `first` on. Returns the sequence
  // of the first. Only without an obstacle(). `now_ns`: uv_hrtime(), from which on the deadline counts.
  std::uint64_t enqueue(RedisCall* call, std::uint32_t first, std::uint32_t count, std::string_view bytes,
                        std::uint64_t now_ns);
  void forget(std::uint64_t sequence, std::uint32_t count) noexcept;
  // Why a command of `size` bytes cannot be queued; empty if it can.
  [[nodiscard]] std::string obstacle(std::size_t size) const;
  // Whether a command of `size` bytes certainly has none.
  [[nodiscard]] bool is_free(std::size_t size) const noexcept {
    return link_.up() && circuit_.closed() && pending_.size() < kMaxPending && output_.size() < kMaxOutput &&
           size <= kMaxCommand;
  }

  // The source knows another target: goes there once all replies are in, or at once if there is no connection.
  void switch_target();
  // Ends the wait before the next attempt to connect.
  void retry_now() { link_.retry_now(); }

  // Whether a connection is up and logged in.
  [[nodiscard]] bool up() const noexcept { return link_.up(); }
  // The present connection: a number that no other connection of this process has; 0 while there is none.
  [[nodiscard]] std::uint64_t connection() const noexcept { return link_.up() ? connection_ : 0; }
  // Whether Redis refuses writes; it may still answer reads.
  [[nodiscard]] bool refuses_writes() const noexcept { return writes_.refused(); }
  [[nodiscard]] bool idle() const noexcept { return pending_.empty(); }
  // What it connects to, or connected to last.
  [[nodiscard]] const RedisTarget& target() const noexcept { return link_.target(); }
  [[nodiscard]] const std::string& address() const noexcept { return link_.address(); }
  [[nodiscard]] CallSchedule& schedule() const noexcept { return schedule_; }

  // `up` only if it also accepts writes. reason(): why it is not `up`; empty if it is.
  [[nodiscard]] RedisState state() const noexcept;
  [[nodiscard]] const std::string& reason() const noexcept;
  [[nodiscard]] Circuit circuit() const noexcept;

 private:
  struct Pending {
    RedisCall* call;  // null: nobody waits for the reply
    std::uint64_t issued_ns;
    std::uint32_t index;  // of the reply, in a cluster
  };

  // RedisLink::Listener
  void link_up(std::string_view refusal) override;
  void link_replied(Reply&& reply, std::uint64_t received_ns) override;
  void link_writable() override { flush(); }
  void link_down(std::string_view reason) override;
  void link_settled() override;

  [[nodiscard]] std::string obstacle(bool begun, std::size_t size) const;
  void enqueued(std::uint64_t now_ns);
  void flush_before_poll();
  void flush();
  void count_reply(const Pending& entry, std::uint64_t received_ns);
  void fail_all(std::string_view why);

  void tell_forbidden(const std::string& error);
  void tried_write(std::string_view error);
  void try_write();
  void try_write_soon();
  void start_trials();
  void switch_connection();

  void opened();
  void probe();
  void probed(bool answered);

  void sweep();
  void expire(std::uint64_t now_ns);
  void arm_sweep(std::uint64_t now_ns);
  void start_sweep(std::uint64_t delay_ms);
  [[nodiscard]] std::uint64_t next_expiry_ns() const noexcept;

  CounterArray& counters_;
  CallSchedule& schedule_;
  Owner& owner_;
  RedisLink link_;
  WriteWatch writes_;
  CircuitBreaker circuit_;
  std::uint64_t timeout_ns_;
  bool closed_ = false;
  bool was_down_ = false;    // no connection, and commands do not wait for one
  std::string down_reason_;  // why, while was_down_

  std::set<std::string> forbidden_;  // errors that have been logged

  std::uint64_t connection_ = 0;  // the last one
  std::string output_;            // commands not yet written
  std::deque<Pending> pending_;
  std::uint64_t front_sequence_ = 0;  // of pending_.front()
  std::size_t unsent_ = 0;            // how many at the back are in output_
  std::uint64_t trial_ = UINT64_MAX;  // sequence of the last trial write
  std::uint64_t probe_ = UINT64_MAX;  // sequence of the probe in flight
  std::uint64_t trial_ms_ = 0;        // when it was sent
  std::uint64_t switch_ms_ = 0;       // when the connection may be switched again
  bool switching_ = false;            // nothing is sent until all replies are in, then the link reconnects
  std::size_t expired_ = 0;           // how many at the front have missed their deadline; their replies may still come
  bool last_chance_ = false;          // see sweep()

  UvPtr<uv_prepare_t> prepare_;
  UvPtr<uv_timer_t> sweep_timer_;
  UvPtr<uv_timer_t> trial_timer_;
  UvPtr<uv_timer_t> probe_timer_;
};

}  // namespace pronghorn::worker
