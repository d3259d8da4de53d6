// The link to the Redis server: connects, logs in, and reconnects with backoff when the connection breaks.
#pragma once

#include <uv.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/uv_ptr.h"
#include "pronghorn/redis.h"
#include "worker/state/redis/link/address_lookup.h"
#include "worker/state/redis/link/backoff.h"
#include "worker/state/redis/link/redis_connection.h"
#include "worker/state/redis/link/redis_target.h"
#include "worker/state/redis/protocol/reply_reader.h"

namespace pronghorn::worker {

// One attempt to connect takes at most the timeout. After a failed one the link waits: see backoff.h.
//
// If the target has a trial key, the login includes a trial write, with a script as sessions and rate limits use them, so
// that a server that cannot serve them is detected before the first request. A user who may not run the script is a
// configuration error just like a wrong password, and so is a server of another kind than the target's.
//
// Context: loop thread. Nothing throws except the constructor.
class RedisLink final : private RedisConnection::Listener {
 public:
  // Called from the loop, and from within start() and lost(). A listener may call every function of the link.
  class Listener {
   public:
    // Connected and logged in: commands can be written. `refusal`: the error with which Redis refuses writes, or empty.
    virtual void link_up(std::string_view refusal) = 0;
    // The reply to the oldest command without one. `received_ns`: uv_hrtime() when its bytes were read.
    virtual void link_replied(Reply&& reply, std::uint64_t received_ns) = 0;
    // The socket took all bytes of the last write().
    virtual void link_writable() = 0;
    // There is no connection now: replies that are still missing never come, and new commands must fail with
    // obstacle(). `reason`: why there is none, without the address.
    virtual void link_down(std::string_view reason) = 0;
    // The last call of every event, after all replies of one read or after link_down(): the moment to run other code.
    virtual void link_settled() = 0;

   protected:
    ~Listener() = default;
  };

  RedisLink(uv_loop_t* loop, TargetSource source, LinkSettings settings, Listener& listener);
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  // Begins to connect. `on_fatal` is called at most once, with one line without the password, if Redis rejects the
  // configuration before a connection was ever up; the link then makes no further attempt. Null: it tries again.
  void start(std::function<void(std::string)> on_fatal);
  // Closes the connection and the timer without calling the listener.
  void close() noexcept;

  [[nodiscard]] bool up() const noexcept { return state_ == State::up; }
  // Whether it tries to connect or to log in now.
  [[nodiscard]] bool attempting() const noexcept { return state_ == State::connecting || state_ == State::greeting; }
  // Why a command cannot be queued now; empty if it can. Until the first connection is up, and during reconnect(),
  // commands may wait for it, for the timeout at most.
  [[nodiscard]] std::string obstacle() const;
  // "unix:PATH" or "user@host:port", for people. Never contains the password.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] std::chrono::milliseconds timeout() const noexcept { return settings_.timeout; }
  // What it connects to, or connected to last.
  [[nodiscard]] const RedisTarget& target() const noexcept { return target_; }
  // The key of a trial write now; empty: none can be made.
  [[nodiscard]] std::string trial_key() const;
  // The words of a trial write, of which only the key differs. It leaves nothing in Redis.
  [[nodiscard]] static std::array<std::string_view, 4> trial_write(std::string_view key) noexcept;

  // Only while up(): see RedisConnection.
  [[nodiscard]] int write(std::string& bytes) { return connection_->write(bytes); }
  [[nodiscard]] bool writing() const noexcept { return connection_->writing(); }

  // Drops the connection, or the attempt to make one, and reconnects after the backoff.
  void lost(const std::string& reason);
  // Replaces the connection by a new one, if up(). No command may be without its reply. Commands issued meanwhile wait.
  void reconnect();
  // Ends the wait before the next attempt: the source knows another target.
  void retry_now();

 private:
  enum class State { idle, connecting, greeting, up, waiting, closed };
  enum class Greeting { knock, auth, name, select, cluster, role, readonly, trial };

  // RedisConnection::Listener
  void connected() override;
  void received(std::string_view bytes) override;
  void writable() override { listener_.link_writable(); }
  void closed(const std::string& reason, RedisConnection::Cause cause) override;

  void connect();
  void plan_greeting();
  void greet_next(std::size_t step);
  void greeted(const Reply& reply);
  [[nodiscard]] bool passed(Greeting step, const Reply& reply);
  [[nodiscard]] bool trial_passed(std::string_view error);
  [[nodiscard]] bool is_right_kind(std::string_view info);
  void now_up();
  [[nodiscard]] bool take_target();
  void rejected(const std::string& what);
  void rejected(const std::string& what, const std::string& reason);
  void retry_later(const std::string& reason);
  // Each question to a sentinel makes a new link when the last one failed: who asks logs the failures.
  [[nodiscard]] bool is_logged() const noexcept { return target_.kind != RedisTarget::Kind::sentinel; }

  uv_loop_t* loop_;
  TargetSource source_;
  LinkSettings settings_;
  RedisTarget target_;
  std::string address_;
  Listener& listener_;
  std::function<void(std::string)> on_fatal_;

  State state_ = State::idle;
  bool was_up_ = false;  // a connection was up before
  bool patient_ = true;  // commands wait for the connection, until patient_until_ms_
  bool told_unreachable_ = false;
  bool told_rejected_ = false;
  std::string last_reason_;
  std::uint64_t patient_until_ms_ = 0;
  std::uint64_t down_since_ms_ = 0;
  Backoff backoff_;

  std::optional<AddressLookup> lookup_;  // empty once closed
  std::unique_ptr<RedisConnection> connection_;
  std::unique_ptr<ReplyReader> reader_;
  std::vector<Greeting> greeting_;  // steps of the login, in order
  std::size_t greeting_step_ = 0;   // the one that awaits its reply
  std::string refusal_;             // the error of the trial write

  UvPtr<uv_timer_t> timer_;  // deadline of the attempt, then the wait before the next
};

}  // namespace pronghorn::worker
