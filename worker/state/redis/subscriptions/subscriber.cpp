#include "worker/state/redis/subscriptions/subscriber.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/subscriptions/subscriber_link.h"

namespace pronghorn::worker {

Subscriber::Subscriber(uv_loop_t* loop, TargetSource source, LinkSettings settings,
                       std::chrono::milliseconds ping_interval, TargetCheck has_left)
    : link_(std::make_unique<SubscriberLink>(loop, std::move(source), std::move(settings), ping_interval,
                                             std::move(has_left), static_cast<MessageLink::Listener&>(*this))) {}

Subscription Subscriber::subscribe(std::string_view channel, Listener& listener) {
  return add(channels_, false, channel, listener);
}

Subscription Subscriber::subscribe_pattern(std::string_view pattern, Listener& listener) {
  return add(patterns_, true, pattern, listener);
}

Subscription Subscriber::add(Channels& channels, bool is_pattern, std::string_view name, Listener& listener) {
  auto found = channels.find(name);
  if (found == channels.end()) {
    auto channel = std::make_unique<Channel>();
    channel->name = name;
    channel->is_pattern = is_pattern;
    found = channels.emplace(std::string(name), std::move(channel)).first;
    if (link_->up()) request(*found->second);
  }
  Channel& channel = *found->second;
  channel.listeners.push_back(&listener);
  ++channel.live;
  link_->start();
  return {*this, channel, listener};
}

void Subscriber::remove(Channel& channel, Listener& listener) noexcept {
  const auto found = std::ranges::find(channel.listeners, &listener);
  if (telling_ > 0) {
    *found = nullptr;
  } else {
    channel.listeners.erase(found);
  }
  if (--channel.live > 0) return;
  Channels& channels = channel.is_pattern ? patterns_ : channels_;
  awaited_.erase(channel.command);
  if (link_->up()) link_->send(channel.is_pattern ? "PUNSUBSCRIBE" : "UNSUBSCRIBE", channel.name);
  auto node = channels.extract(channels.find(channel.name));
  left_.push_back(std::move(node.mapped()));
  if (telling_ == 0) clean();
}

void Subscriber::request(Channel& channel) {
  channel.refused = false;
  channel.command = link_->send(channel.is_pattern ? "PSUBSCRIBE" : "SUBSCRIBE", channel.name);
  awaited_[channel.command] = &channel;
}

// ---- calls of listeners

template <class Call>
void Subscriber::tell(Channel& channel, Call call) {
  ++telling_;
  const std::size_t count = channel.listeners.size();  // not those who come meanwhile
  for (std::size_t i = 0; i < count; ++i) {
    if (channel.listeners[i] != nullptr) call(*channel.listeners[i]);
  }
  if (channel.live < channel.listeners.size() && telling_ == 1) std::erase(channel.listeners, nullptr);
  if (--telling_ == 0) clean();
}

void Subscriber::clean() noexcept { left_.clear(); }

void Subscriber::link_up() {
  for (const auto& [name, channel] : channels_) request(*channel);
  for (const auto& [name, channel] : patterns_) request(*channel);
}

void Subscriber::link_confirmed(std::uint64_t command) {
  const auto found = awaited_.find(command);
  if (found == awaited_.end()) return;  // an UNSUBSCRIBE, or nobody is interested any more
  Channel& channel = *found->second;
  awaited_.erase(found);
  channel.command = 0;
  channel.active = true;
  tell(channel, [&channel](Listener& listener) { listener.subscribed(channel.name); });
}

void Subscriber::link_refused(std::uint64_t command, std::string_view error) {
  const auto found = awaited_.find(command);
  if (found == awaited_.end()) return;
  Channel& channel = *found->second;
  awaited_.erase(found);
  channel.command = 0;
  channel.refused = true;
  if (std::exchange(told_refused_, true)) return;
  log_warning("Redis refuses a subscription: permit SUBSCRIBE, PSUBSCRIBE and the channel (ACL SETUSER … &CHANNEL)",
              {{"channel", channel.name}, {"reason", error}});
}

void Subscriber::link_message(std::string_view pattern, std::string_view channel, const Reply& payload) {
  Channels& channels = pattern.empty() ? channels_ : patterns_;
  const auto found = channels.find(pattern.empty() ? channel : pattern);
  if (found == channels.end() || !found->second->active) return;  // unsubscribed meanwhile
  tell(*found->second, [channel, &payload](Listener& listener) { listener.message(channel, payload); });
}

void Subscriber::link_tick() {
  bool any = false;
  for (Channels* channels : {&channels_, &patterns_}) {
    for (const auto& [name, channel] : *channels) {
      any = any || channel->refused;
      if (channel->refused) request(*channel);
    }
  }
  if (!any) told_refused_ = false;
}

void Subscriber::link_down() {
  awaited_.clear();
  std::vector<Channel*> interrupted;
  for (Channels* channels : {&channels_, &patterns_}) {
    for (const auto& [name, channel] : *channels) {
      channel->command = 0;
      channel->refused = false;
      if (std::exchange(channel->active, false)) interrupted.push_back(channel.get());
    }
  }
  ++telling_;  // channels that are left stay until all have been told
  for (Channel* channel : interrupted) {
    tell(*channel, [channel](Listener& listener) { listener.interrupted(channel->name); });
  }
  for (Channel* channel : interrupted) std::erase(channel->listeners, nullptr);
  if (--telling_ == 0) clean();
}

// ---- Subscription

Subscription::Subscription(Subscription&& other) noexcept
    : subscriber_(other.subscriber_), channel_(std::exchange(other.channel_, nullptr)), listener_(other.listener_) {}

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  if (this == &other) return *this;
  reset();
  subscriber_ = other.subscriber_;
  channel_ = std::exchange(other.channel_, nullptr);
  listener_ = other.listener_;
  return *this;
}

void Subscription::reset() noexcept {
  if (Subscriber::Channel* channel = std::exchange(channel_, nullptr)) subscriber_->remove(*channel, *listener_);
}

}  // namespace pronghorn::worker
