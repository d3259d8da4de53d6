// The worker's one pipelined connection to Redis, with everything that keeps it going: greeting, deadlines, reconnects.
//
// Commands are written into one buffer, which leaves in one write just before the loop waits for events. Replies come
// back in the same order; each is given to the RedisCall that waits for it, or dropped when that one has gone.
#pragma once

#include <uv.h>

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/redis_url.h"
#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "pronghorn/redis.h"
#include "worker/state/redis/redis_connection.h"
#include "worker/state/redis/reply_reader.h"

namespace pronghorn::worker {

class RedisClient;

// Some commands and the wait for their replies:
//
//   RedisCall call(client);
//   call.send({"INCR", key});
//   call.send({"PEXPIRE", key, "1000"});
//   co_await call;                        // throws RedisUnavailable
//   call.reply(0).integer();
//
// Context:   loop thread. All commands are sent before the call is awaited, without another await in between.
// Ownership: lives in the coroutine that awaits it. Destroying it drops the replies; the commands may still be
//            carried out.
class RedisCall {
 public:
  explicit RedisCall(RedisClient& client) noexcept : client_(client) {}
  RedisCall(const RedisCall&) = delete;
  RedisCall& operator=(const RedisCall&) = delete;
  ~RedisCall();

  // Queues one command. What prevents that is thrown by the await.
  void send(std::span<const std::string_view> words);
  void send(std::initializer_list<std::string_view> words) { send(std::span(words.begin(), words.size())); }
  void send(const Command& command);

  [[nodiscard]] bool await_ready() const noexcept { return outstanding() == 0; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
  void await_resume() const;

  // After the await, in the order of the commands. May be an error reply.
  [[nodiscard]] Reply& reply(std::size_t index = 0) noexcept { return index == 0 ? first_ : others_[index - 1]; }

 private:
  friend class RedisClient;
  [[nodiscard]] std::size_t outstanding() const noexcept { return failure_.empty() ? sent_ - received_ : 0; }
  void accept(Reply reply);

  RedisClient& client_;
  std::coroutine_handle<> waiting_;
  std::uint64_t first_sequence_ = 0;  // of its first command in the client's queue
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  std::size_t ready_position_ = SIZE_MAX;  // in the client's list of calls to resume
  Reply first_;                            // nearly every call has one reply only
  std::vector<Reply> others_;
  std::string failure_;  // why it is unavailable
};

// Context:   loop thread; one per worker. Not destroyed from within a coroutine that it resumes.
// Errors:    nothing throws except the constructor; a RedisCall tells what went wrong.
class RedisClient final : private RedisConnection::Listener {
 public:
  static constexpr std::size_t kMaxPending = 100'000;            // commands waiting for replies
  static constexpr std::size_t kMaxOutput = 64 * 1024 * 1024;    // bytes not yet written, before one more command
  static constexpr std::size_t kMaxCommand = 512 * 1024 * 1024;  // bytes of one command

  // `timeout` is the deadline of each command and of each attempt to connect.
  RedisClient(uv_loop_t* loop, RedisUrl url, std::chrono::milliseconds timeout, WorkerRow& row);
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;
  ~RedisClient();

  // Begins to connect. Until the first connection is up, at most for `timeout`, commands wait for it; later ones fail
  // at once while there is none. `on_fatal` is called, once at most, when Redis refuses the user, password or database
  // before a connection was ever up: a mistake in the configuration. Its text is one line without the password. After
  // that no attempt is made any more.
  void start(std::function<void(std::string)> on_fatal);

  // Fails what waits, resumes it, and lets go of the loop. Later calls do nothing, later commands fail. Called from the
  // loop, not from within a coroutine that waits for Redis.
  void close();

  // Connected, greeted and not found silent.
  [[nodiscard]] bool up() const noexcept { return state_ == State::up; }
  // It has said that it takes no writes because it cannot save them (a full disk); reads are answered. Told in the log,
  // and its end is looked for every second.
  [[nodiscard]] bool refuses_writes() const noexcept { return refuses_writes_; }
  // "unix:PATH" or "user@host:port", for people.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return timeout_; }

 private:
  friend class RedisCall;
  enum class State { idle, connecting, greeting, up, waiting, closed };
  enum class Greeting { auth, select, ping };

  struct Pending {
    RedisCall* call;  // null: nobody waits any more
    std::uint64_t issued_ns;
  };

  // RedisConnection::Listener
  void connected() override;
  void received(std::string_view bytes) override;
  void writable() override { flush(); }
  void closed(const std::string& reason) override { lost(reason); }

  void connect();
  void greeted(const Reply& reply);
  void greet_next(std::size_t step);
  void now_up();
  void lost(const std::string& reason);
  void refused(const std::string& what);
  void writes_refused(std::string_view error);
  void writes_accepted();
  void probe();
  void disconnect() noexcept;
  void retry_later(const std::string& reason);

  void issue(RedisCall& call, std::span<const std::string_view> words);
  [[nodiscard]] std::string obstacle(const RedisCall& call, std::span<const std::string_view> words) const;
  void forget(RedisCall& call) noexcept;
  void fail(RedisCall& call, std::string_view why);
  void fail_all(std::string_view why);
  void answered(Reply reply);
  static bool is_wrong_server(const Reply& reply) noexcept;
  void give(RedisCall& call, Reply reply);
  void make_ready(RedisCall& call);
  void resume_ready();

  void flush_before_poll();
  void flush();
  void sweep();
  void expire(std::uint64_t now_ns);
  void arm_sweep(std::uint64_t now_ns);
  void start_sweep(std::uint64_t delay_ms);
  [[nodiscard]] std::uint64_t next_expiry_ns() const noexcept;
  [[nodiscard]] std::uint64_t timeout_ns() const noexcept;

  uv_loop_t* loop_;
  RedisUrl url_;
  std::string address_;
  std::chrono::milliseconds timeout_;
  WorkerRow& row_;
  std::function<void(std::string)> on_fatal_;

  State state_ = State::idle;
  bool first_ = true;  // no connection was up yet, and commands still wait for one
  bool told_unreachable_ = false;
  bool told_refused_ = false;
  bool refuses_writes_ = false;
  std::string last_reason_;
  std::uint64_t first_until_ms_ = 0;
  std::uint64_t down_since_ms_ = 0;
  std::chrono::milliseconds backoff_;
  std::minstd_rand random_;

  std::unique_ptr<RedisConnection> connection_;
  std::unique_ptr<ReplyReader> reader_;
  std::vector<Greeting> greeting_;  // still to be answered, in order
  std::size_t greeting_step_ = 0;

  std::string output_;
  std::deque<Pending> pending_;
  std::uint64_t front_sequence_ = 0;  // of pending_.front()
  std::uint64_t probe_ = UINT64_MAX;  // sequence of the PING that asks whether writes are taken again
  std::size_t expired_ = 0;           // so many at the front have passed their deadline; their replies may still come
  std::uint64_t received_ns_ = 0;     // when the bytes being parsed came
  bool last_chance_ = false;
  std::vector<RedisCall*> ready_;  // null: destroyed meanwhile
  bool resuming_ = false;

  UvPtr<uv_prepare_t> prepare_;
  UvPtr<uv_timer_t> sweep_timer_;
  UvPtr<uv_timer_t> probe_timer_;
  UvPtr<uv_timer_t> connect_timer_;  // deadline of the attempt, then the wait before the next
};

}  // namespace pronghorn::worker
