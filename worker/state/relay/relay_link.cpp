#include "worker/state/relay/relay_link.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <random>
#include <utility>

#include "common/ipc/channel.h"
#include "common/log.h"

namespace pronghorn::worker {

RelayLink::RelayLink(uv_loop_t* loop, Relay& own, RedisClient& client, std::string mark,
                     MessageLink::Listener& listener)
    : loop_(loop), own_(own), client_(client), mark_(std::move(mark)), listener_(listener) {}

void RelayLink::close() noexcept {
  up_ = false;
  settle_.cancel();
  limit_.reset();
  switch_.reset();
  release(current_);
  release(next_);
}

// ---- which relay

void RelayLink::follow_own(std::string_view before) {
  if (next_.is_own || (current_.is_own && !switch_)) return;
  Source own;
  own.is_own = true;
  accept(std::move(own), before);
}

void RelayLink::follow(int fd, std::uint64_t relay, std::string_view before) {
  Source source;
  source.relay = relay;
  try {
    if (fd >= 0) source.pipe = std::make_unique<RelayPipe>(loop_, fd, static_cast<RelayPipe::Owner&>(*this));
  } catch (const std::exception& error) {
    log_warning("cannot watch the link to the relay", {{"error", error.what()}});
  }
  if (source) return accept(std::move(source), before);
  if (unlinked_) unlinked_(relay);
}

// If nothing is received yet, nothing can be lost.
void RelayLink::accept(Source source, std::string_view before) {
  const bool receives = std::ranges::any_of(wishes_, [](const auto& wish) { return wish.second.command == 0; });
  if (before == kRelayGone || switch_ || !current_ || !receives) return restart(std::move(source));
  next_ = std::move(source);
  begin_switch(before == kRelayBlocked ? kMaxSwitchFromBlocked : kMaxSwitch);
}

// Everything is subscribed to anew, from `source` alone. May be one of the two that there are.
void RelayLink::restart(Source source) {
  const bool was_up = std::exchange(up_, false);
  if (switch_ && source.pipe) unsubscribe(source, switch_->mark);
  switch_.reset();
  limit_.reset();
  settle_.cancel();
  own_confirmed_.clear();
  refused_.clear();
  wishes_.clear();
  own_.leave();
  release(current_);
  release(next_);
  current_ = std::move(source);
  if (current_.is_own) own_.join(*this);
  if (was_up) listener_.link_down();
  if (!current_) return;
  up_ = true;
  listener_.link_up();
}

void RelayLink::release(Source& source) noexcept {
  if (source.is_own) own_.leave();
  source = {};
}

void RelayLink::subscribe(Source& source, const std::string& name) {
  if (source.pipe) return source.pipe->send({RelayKind::subscribe, name, {}});
  if (!own_.subscribe(name)) return;
  own_confirmed_.push_back(name);
  answer_later();
}

void RelayLink::unsubscribe(Source& source, std::string_view name) {
  if (source.pipe) {
    source.pipe->send({RelayKind::unsubscribe, name, {}});
  } else if (source.is_own) {
    own_.unsubscribe(name);
  }
}

std::uint64_t RelayLink::send(std::string_view verb, std::string_view name) {
  const std::uint64_t command = ++last_command_;
  if (name.size() > kMaxRelayChannel) {
    if (verb == "SUBSCRIBE") refused_.push_back(command);
    answer_later();
  } else if (verb == "SUBSCRIBE") {
    const auto wish = wishes_.insert_or_assign(std::string(name), Wish{command, switch_ != nullptr}).first;
    subscribe(switch_ ? next_ : current_, wish->first);
  } else if (verb == "UNSUBSCRIBE") {
    if (const auto wish = wishes_.find(name); wish != wishes_.end()) wishes_.erase(wish);
    unsubscribe(current_, name);
    if (!switch_) return command;
    unsubscribe(next_, name);
    if (const auto awaited = switch_->awaited.find(name); awaited != switch_->awaited.end()) {
      switch_->awaited.erase(awaited);
    }
    advance_switch();
  }
  return command;
}

// ---- from one relay to the next

void RelayLink::begin_switch(std::chrono::milliseconds limit) {
  std::random_device random;
  switch_ = std::make_unique<Switch>();
  switch_->mark = fmt::format("{}{:08x}{:08x}", mark_, random(), random());
  if (next_.is_own) own_.join(*this);
  for (const auto& [name, wish] : wishes_) {
    switch_->awaited.insert(name);
    subscribe(next_, name);
  }
  subscribe(current_, switch_->mark);
  subscribe(next_, switch_->mark);
  limit_.emplace(limit);
  limit_->arm(
      [](void* context) {
        auto* link = static_cast<RelayLink*>(context);
        link->restart(std::move(link->next_));
      },
      this);
}

void RelayLink::advance_switch() {
  if (!switch_->awaited.empty() || !switch_->mark_current || !switch_->mark_next) return;
  if (std::exchange(switch_->published, true)) return;
  client_.post(std::array<std::string_view, 3>{"PUBLISH", switch_->mark, "mark"});
}

void RelayLink::finish_switch() {
  const std::unique_ptr<const Switch> done = std::move(switch_);
  limit_.reset();
  Source old = std::exchange(current_, std::exchange(next_, {}));
  release(old);
  unsubscribe(current_, done->mark);
  std::vector<std::uint64_t> commands;  // that only the next relay has confirmed
  for (auto& [name, wish] : wishes_) {
    if (!wish.only_next && wish.command != 0) commands.push_back(std::exchange(wish.command, 0));
    wish.only_next = false;
  }
  for (const std::uint64_t command : commands) listener_.link_confirmed(command);
  for (const Held& held : done->held) listener_.link_message({}, held.channel, held.payload);
}

// It has ended before it was needed.
void RelayLink::give_up_next() {
  const bool depends =
      switch_->seen_current || std::ranges::any_of(wishes_, [](const auto& wish) { return wish.second.only_next; });
  if (depends) return restart(std::move(current_));
  unsubscribe(current_, switch_->mark);
  switch_.reset();
  limit_.reset();
  release(next_);
}

// ---- what relays tell

void RelayLink::answer_later() {
  settle_.arm([](void* link) { static_cast<RelayLink*>(link)->answer(); }, this);
}

void RelayLink::answer() {
  for (const std::string& name : std::exchange(own_confirmed_, {})) {
    if (current_.is_own || next_.is_own) confirmed(next_.is_own, name);
  }
  for (const std::uint64_t command : std::exchange(refused_, {})) {
    listener_.link_refused(command, fmt::format("the name of a channel has at most {} bytes", kMaxRelayChannel));
  }
}

void RelayLink::confirmed(bool by_next, std::string_view channel) {
  if (switch_ && channel == switch_->mark) {
    (by_next ? switch_->mark_next : switch_->mark_current) = true;
    return advance_switch();
  }
  const auto found = wishes_.find(channel);
  if (found == wishes_.end()) return;
  Wish& wish = found->second;
  if (by_next && !wish.only_next) {
    switch_->awaited.erase(found->first);
    return advance_switch();
  }
  if (wish.only_next && !by_next) return;
  if (const std::uint64_t command = std::exchange(wish.command, 0)) listener_.link_confirmed(command);
}

void RelayLink::message(bool by_next, std::string_view channel, const Reply& payload) {
  if (!switch_) return listener_.link_message({}, channel, payload);
  if (channel == switch_->mark) {
    (by_next ? switch_->seen_next : switch_->seen_current) = true;
    if (switch_->seen_next && switch_->seen_current) finish_switch();
    return;
  }
  const auto wish = wishes_.find(channel);
  if (wish == wishes_.end()) return;
  if (by_next && !wish->second.only_next) {
    if (switch_->seen_next) hold(channel, payload);
  } else if (by_next || (!wish->second.only_next && !switch_->seen_current)) {
    listener_.link_message({}, channel, payload);
  }
}

void RelayLink::hold(std::string_view channel, const Reply& payload) {
  switch_->held_bytes += channel.size() + payload.string().size();
  switch_->held.push_back({std::string(channel), payload});
  if (switch_->held_bytes > kMaxHeld) restart(std::move(next_));
}

void RelayLink::lost() { restart(std::move(switch_ ? next_ : current_)); }

void RelayLink::pipe_record(RelayPipe& pipe, const RelayRecord& record) {
  const bool by_next = &pipe == next_.pipe.get();
  if (record.kind == RelayKind::message) {
    message(by_next, record.channel, Reply(std::string(record.payload)));
  } else if (record.kind == RelayKind::subscribed) {
    confirmed(by_next, record.channel);
  } else if (record.kind == RelayKind::lost) {
    lost();
  }
}

void RelayLink::pipe_ended(RelayPipe& pipe) {
  const bool was_next = &pipe == next_.pipe.get();
  const std::uint64_t relay = was_next ? next_.relay : current_.relay;
  if (was_next) {
    give_up_next();
  } else {
    restart(switch_ ? std::move(next_) : Source());
  }
  if (unlinked_) unlinked_(relay);
}

}  // namespace pronghorn::worker
