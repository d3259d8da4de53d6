// A connection to Redis that receives published messages: logs in, detects that it is dead, and reconnects.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/uv_ptr.h"
#include "pronghorn/redis.h"
#include "worker/state/redis/link/address_lookup.h"
#include "worker/state/redis/link/backoff.h"
#include "worker/state/redis/link/redis_connection.h"
#include "worker/state/redis/link/redis_target.h"
#include "worker/state/redis/protocol/reply_reader.h"
#include "worker/state/redis/subscriptions/message_link.h"

namespace pronghorn::worker {

// If nothing arrives for the ping interval, it sends PING; if nothing arrives within the timeout after that, the
// connection is lost. The backoff starts anew only after a connection has lasted for 10 s: a worker that is too slow
// for what is published is disconnected by Redis (client-output-buffer-limit pubsub) again and again. Losing the
// connection is logged once, until one has lasted so long.
//
// Context: loop thread. Nothing throws except the constructor.
class SubscriberLink final : public MessageLink, private RedisConnection::Listener {
 public:
  static constexpr std::size_t kMaxMessage =
      64 * 1024 * 1024;  // bytes of one message; a larger one ends the connection

  // The timeout of `settings` limits the wait for an answer to PING too. `has_left` is asked every ping interval; null:
  // never.
  SubscriberLink(uv_loop_t* loop, TargetSource source, LinkSettings settings, std::chrono::milliseconds ping_interval,
                 TargetCheck has_left, MessageLink::Listener& listener);

  // MessageLink. Commands are sent before the loop waits for events; link_tick() comes once per ping interval.
  void start() override;
  void close() noexcept override;
  [[nodiscard]] bool up() const noexcept override { return state_ == State::up; }
  [[nodiscard]] std::int64_t client_id() const noexcept override;
  std::uint64_t send(std::string_view verb, std::string_view name) override;
  void reconnect() override;

 private:
  enum class State { idle, connecting, authenticating, naming, identifying, up, waiting, closed };

  // RedisConnection::Listener
  void connected() override;
  void received(std::string_view bytes) override;
  void writable() override { flush(); }
  void closed(const std::string& reason, RedisConnection::Cause) override { lost(reason); }

  void connect();
  void name_itself();
  void identify();
  void greeted(const Reply& reply);
  void now_up();
  void replied(const Reply& reply);
  void answered(const Reply& reply);
  [[nodiscard]] bool pushed(const Reply::Array& values);
  void queue(std::string_view verb, std::string_view name);
  void flush();
  void lost(const std::string& reason);
  void tell_lost(const std::string& reason, std::uint64_t now_ms);
  void tell_lasting(std::uint64_t now_ms);
  void wait(std::chrono::milliseconds duration);
  void time_is_up();
  void check_alive();
  [[nodiscard]] bool has_moved() const;

  uv_loop_t* loop_;
  TargetSource source_;
  LinkSettings settings_;
  std::chrono::milliseconds ping_interval_;
  TargetCheck has_left_;
  MessageLink::Listener& listener_;

  State state_ = State::idle;
  RedisTarget target_;
  std::string address_;  // for people
  std::int64_t client_id_ = 0;
  Backoff backoff_;
  bool was_up_ = false;  // a connection was up before
  bool told_ = false;    // that the connection was lost
  std::uint64_t losses_ = 0;
  std::uint64_t down_since_ms_ = 0;
  std::uint64_t up_since_ms_ = 0;

  std::optional<AddressLookup> lookup_;
  std::unique_ptr<RedisConnection> connection_;
  std::unique_ptr<ReplyReader> reader_;
  std::size_t incomplete_ = 0;  // bytes received since the last whole reply
  bool heard_ = false;          // whether bytes have arrived since the timer was started
  bool pinged_ = false;         // PING is without an answer
  bool last_chance_ = false;    // see check_alive()

  std::string output_;              // commands not yet written
  std::deque<std::uint64_t> sent_;  // commands without a reply; 0: PING
  std::uint64_t last_command_ = 0;

  UvPtr<uv_prepare_t> prepare_;
  UvPtr<uv_timer_t> timer_;  // deadline of the attempt, the wait before the next, then the keep-alive
};

}  // namespace pronghorn::worker
