// Subscriptions to what is published in Redis: one per channel and link, however many listeners it has.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "pronghorn/redis.h"
#include "worker/state/redis/link/redis_target.h"
#include "worker/state/redis/subscriptions/message_link.h"

namespace pronghorn::worker {

class Subscription;

// Connects when the first subscription is made, on a connection of its own, and stays connected. Channels are
// subscribed to again after each reconnect. Redis keeps no messages for a subscriber: what is published between
// interrupted() and subscribed() never arrives.
//
// Messages that arrive faster than the listeners take them stay in Redis, up to client-output-buffer-limit pubsub; then
// Redis closes the connection, which is an interruption like any other. The worker itself holds one message.
//
// A subscription that Redis refuses (NOPERM) is logged once and tried again every ping interval.
//
// Context:   loop thread. Must not be destroyed or closed from within a listener.
// Ownership: must outlive its subscriptions, which must not outlive their listeners.
class Subscriber final : private MessageLink::Listener {
 public:
  // Called from the loop, never from within subscribe(). May subscribe, and drop any subscription. Must not throw.
  class Listener {
   public:
    // `payload` is a string, but for the channel "__redis__:invalidate" (CLIENT TRACKING) an array of keys or nil.
    virtual void message(std::string_view channel, const Reply& payload) = 0;
    // The channel or pattern `name` is subscribed to: what is published from now on arrives. Called after the first
    // subscribe() and after each reconnect, but not for a subscription that is active() at once.
    virtual void subscribed(std::string_view name) { (void)name; }
    // `name` was subscribed to and is no longer: messages may be missed until subscribed().
    virtual void interrupted(std::string_view name) { (void)name; }

   protected:
    ~Listener() = default;
  };

  static constexpr std::chrono::seconds kPingInterval{5};

  // Any node of a Redis Cluster will do. The timeout of `settings` limits the wait for an answer to PING too.
  // `has_left` is asked every ping interval.
  Subscriber(uv_loop_t* loop, TargetSource source, LinkSettings settings,
             std::chrono::milliseconds ping_interval = kPingInterval, TargetCheck has_left = nullptr);
  // With another source of messages, which `make` returns; its listener outlives it.
  using LinkMaker = std::function<std::unique_ptr<MessageLink>(MessageLink::Listener& listener)>;
  explicit Subscriber(const LinkMaker& make) : link_(make(*this)) {}
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;
  ~Subscriber() { close(); }

  // The subscription ends with the returned value. A pattern is a glob of Redis: * ? [ ] \ are special. After close()
  // there are no more messages.
  [[nodiscard]] Subscription subscribe(std::string_view channel, Listener& listener);
  [[nodiscard]] Subscription subscribe_pattern(std::string_view pattern, Listener& listener);

  // Closes the connection without calling listeners. The loop must turn once more to free the handles.
  void close() noexcept { link_->close(); }

  [[nodiscard]] bool connected() const noexcept { return link_->up(); }
  // The id of the connection, for CLIENT TRACKING … REDIRECT by another one. It differs after each reconnect, so ask
  // again in subscribed(). 0 while there is no connection to what the source names now, or if Redis does not tell it.
  [[nodiscard]] std::int64_t client_id() const noexcept { return link_->client_id(); }
  // Connects anew, to what the source names now. Does nothing unless connected().
  void reconnect() { link_->reconnect(); }

 private:
  friend class Subscription;

  struct Channel {
    std::string name;
    bool is_pattern = false;
    bool active = false;
    bool refused = false;
    std::uint64_t command = 0;         // the SUBSCRIBE that awaits its reply; 0: none
    std::vector<Listener*> listeners;  // null: has left while messages are delivered
    std::size_t live = 0;              // how many are not null
  };
  using Channels = std::map<std::string, std::unique_ptr<Channel>, std::less<>>;

  // MessageLink::Listener
  void link_up() override;
  void link_confirmed(std::uint64_t command) override;
  void link_refused(std::uint64_t command, std::string_view error) override;
  void link_message(std::string_view pattern, std::string_view channel, const Reply& payload) override;
  void link_tick() override;
  void link_down() override;

  Subscription add(Channels& channels, bool is_pattern, std::string_view name, Listener& listener);
  void remove(Channel& channel, Listener& listener) noexcept;
  void request(Channel& channel);
  template <class Call>
  void tell(Channel& channel, Call call);
  void clean() noexcept;

  std::unique_ptr<MessageLink> link_;
  Channels channels_;
  Channels patterns_;
  std::unordered_map<std::uint64_t, Channel*> awaited_;  // by command
  int telling_ = 0;                                      // listeners are being called
  std::vector<std::unique_ptr<Channel>> left_;           // channels without listeners, kept while listeners are called
  bool told_refused_ = false;
};

// One listener's interest in one channel or pattern. Destroying it ends the interest: the listener gets no further
// call for it.
class Subscription {
 public:
  Subscription() noexcept = default;
  Subscription(Subscription&& other) noexcept;
  Subscription& operator=(Subscription&& other) noexcept;
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;
  ~Subscription() { reset(); }

  // Whether what is published now arrives.
  [[nodiscard]] bool active() const noexcept { return channel_ != nullptr && channel_->active; }
  void reset() noexcept;

 private:
  friend class Subscriber;
  Subscription(Subscriber& subscriber, Subscriber::Channel& channel, Subscriber::Listener& listener) noexcept
      : subscriber_(&subscriber), channel_(&channel), listener_(&listener) {}

  Subscriber* subscriber_ = nullptr;
  Subscriber::Channel* channel_ = nullptr;  // null: there is no subscription
  Subscriber::Listener* listener_ = nullptr;
};

}  // namespace pronghorn::worker
