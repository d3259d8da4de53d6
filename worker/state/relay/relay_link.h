// A worker's subscriptions to topics, through the machine's relay.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/timer.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/subscriptions/message_link.h"
#include "worker/state/relay/relay.h"

namespace pronghorn::worker {

// Follows the relay that the supervisor names: this worker's own or, over a link, another's. Until one is named it is
// down, and subscriptions wait. It knows no patterns, and refuses names above kMaxRelayChannel (no topic has one).
//
// When another relay is named while the one before still works (its worker drains), nothing is lost and nothing arrives
// twice. Both are subscribed to; then a message is published in a channel of its own, the mark. Redis sends everything to
// all its subscribers in one order, so what comes before the mark is taken from the old relay and what comes after it
// from the new one. (The nodes of a Redis Cluster have no common order: there, messages that are published within
// the moment of the change may be lost or arrive twice. Topics with a history sort that out by their offsets.)
//
// When the relay before is gone, or does not show the mark in time, the link goes down and up, as after a lost connection
// to Redis.
//
// Context: loop thread, with a current Runtime.
class RelayLink final : public MessageLink, private Relay::Peer, private RelayPipe::Owner {
 public:
  static constexpr std::chrono::seconds kMaxSwitch{5};  // meanwhile the relay before goes on
  static constexpr std::chrono::seconds kMaxSwitchFromBlocked{1};
  static constexpr std::size_t kMaxHeld = 4 * 1024 * 1024;  // bytes of messages that wait for the mark

  // `mark` is what the names of channels for marks begin with. All must outlive this.
  RelayLink(uv_loop_t* loop, Relay& own, RedisClient& client, std::string mark, MessageLink::Listener& listener);
  ~RelayLink() override { close(); }

  // This worker is the relay. `before`: what became of the one before (kRelay… of common/ipc/channel.h).
  void follow_own(std::string_view before);
  // The worker `relay` is; takes ownership of `fd`, the end of a link to it, or -1 if there was no descriptor for it.
  void follow(int fd, std::uint64_t relay, std::string_view before);
  // `call` is called when there is no link to this relay any more, or could not be.
  void on_unlinked(std::function<void(std::uint64_t relay)> call) { unlinked_ = std::move(call); }

  // MessageLink
  void start() override {}
  void close() noexcept override;
  [[nodiscard]] bool up() const noexcept override { return up_; }
  [[nodiscard]] std::int64_t client_id() const noexcept override { return 0; }
  std::uint64_t send(std::string_view verb, std::string_view name) override;
  void reconnect() override {}

 private:
  struct Source {
    bool is_own = false;
    std::unique_ptr<RelayPipe> pipe;  // null: it is the own relay, or there is none
    std::uint64_t relay = 0;          // its pid
    [[nodiscard]] explicit operator bool() const noexcept { return is_own || pipe != nullptr; }
  };
  struct Wish {
    std::uint64_t command = 0;  // that awaits its confirmation; 0: none does
    bool only_next = false;     // it came while the relay changes: only the next one was asked
  };
  struct Held {
    std::string channel;
    Reply payload;
  };
  // From one relay to the next.
  struct Switch {
    std::string mark;
    std::set<std::string, std::less<>> awaited;  // what the next relay has yet to confirm
    bool mark_current = false;                   // the mark is subscribed to there
    bool mark_next = false;
    bool published = false;
    bool seen_current = false;  // the mark has come from there
    bool seen_next = false;
    std::vector<Held> held = {};  // came from the next relay after the mark
    std::size_t held_bytes = 0;
  };

  // Relay::Peer
  void relay_subscribed(std::string_view channel) override { confirmed(next_.is_own, channel); }
  void relay_message(std::string_view channel, const Reply& payload) override {
    message(next_.is_own, channel, payload);
  }
  void relay_lost() override { lost(); }
  // RelayPipe::Owner
  void pipe_record(RelayPipe& pipe, const RelayRecord& record) override;
  void pipe_ended(RelayPipe& pipe) override;

  void accept(Source source, std::string_view before);
  void restart(Source source);
  void begin_switch(std::chrono::milliseconds limit);
  void advance_switch();
  void give_up_next();
  void finish_switch();
  void release(Source& source) noexcept;
  void subscribe(Source& source, const std::string& name);
  void unsubscribe(Source& source, std::string_view name);

  void confirmed(bool by_next, std::string_view channel);
  void message(bool by_next, std::string_view channel, const Reply& payload);
  void lost();
  void hold(std::string_view channel, const Reply& payload);
  void answer_later();
  void answer();

  uv_loop_t* loop_;
  Relay& own_;
  RedisClient& client_;
  std::string mark_;
  MessageLink::Listener& listener_;
  std::function<void(std::uint64_t)> unlinked_;

  bool up_ = false;
  Source current_;
  Source next_;                     // while there is a Switch
  std::unique_ptr<Switch> switch_;  // null: the relay does not change now
  std::map<std::string, Wish, std::less<>> wishes_;
  std::uint64_t last_command_ = 0;
  std::vector<std::string> own_confirmed_;  // by the own relay, from within subscribe()
  std::vector<std::uint64_t> refused_;      // commands with names that are too long
  pronghorn::detail::Timer settle_{std::chrono::nanoseconds(0)};
  std::optional<pronghorn::detail::Timer> limit_;
};

}  // namespace pronghorn::worker
