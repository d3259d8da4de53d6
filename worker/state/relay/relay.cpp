#include "worker/state/relay/relay.h"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "common/log.h"

namespace pronghorn::worker {

// Another worker.
class Relay::Remote {
 public:
  Remote(uv_loop_t* loop, int fd, RelayPipe::Owner& owner) : pipe(loop, fd, owner) {}

  RelayPipe pipe;
  bool lags = false;
  bool told = false;  // that it is too slow
};

// A channel that somebody subscribes to. A null Remote is the worker's own peer.
class Relay::Channel final : public Subscriber::Listener {
 public:
  struct Member {
    Remote* peer;
    bool confirmed;
  };

  Channel(Relay& relay, std::string_view name) : relay_(relay), name_(name) {
    subscription_ = relay.upstream_.subscribe(name_, *this);
  }

  [[nodiscard]] bool active() const noexcept { return subscription_.active(); }

  // Subscriber::Listener. The own peer is called last: it may cause the destruction of this.
  void message(std::string_view channel, const Reply& payload) override {
    if (!payload.is_string() || payload.string().size() > kMaxRelayPayload) return;
    RelayPipe::Bytes bytes;
    std::uint64_t passed = 0;
    bool own = false;
    for (const Member& member : members) {
      if (!member.confirmed) continue;
      if (member.peer == nullptr) {
        own = true;
        continue;
      }
      if (!bytes) {
        bytes = std::make_shared<const std::string>(encode({RelayKind::message, name_, payload.string()}));
      }
      member.peer->pipe.send(bytes);
      ++passed;
      if (member.peer->pipe.queued() > kMaxQueued) relay_.some_lag_ = member.peer->lags = true;
    }
    if (passed > 0) pronghorn::add(relay_.row_[Count::events_relayed], passed);
    Relay& relay = relay_;
    if (relay.some_lag_) relay.drop_lagging();  // may destroy this, unless it has the own peer
    if (own) relay.own_->relay_message(channel, payload);
  }

  void subscribed(std::string_view name) override {
    bool own = false;
    for (Member& member : members) {
      if (std::exchange(member.confirmed, true)) continue;
      if (member.peer == nullptr) {
        own = true;
      } else {
        member.peer->pipe.send({RelayKind::subscribed, name_, {}});
      }
    }
    if (own) relay_.own_->relay_subscribed(name);
  }

  void interrupted(std::string_view) override { relay_.upstream_lost(); }

  std::vector<Member> members;

 private:
  Relay& relay_;
  std::string name_;
  Subscription subscription_;
};

Relay::Relay(uv_loop_t* loop, Subscriber& upstream, WorkerRow& row) : loop_(loop), upstream_(upstream), row_(row) {}
Relay::~Relay() = default;

// ---- who subscribes

void Relay::leave() noexcept {
  if (std::exchange(own_, nullptr) != nullptr) forget(nullptr);
}

bool Relay::subscribe(std::string_view channel) { return add(channel, nullptr); }

void Relay::unsubscribe(std::string_view channel) noexcept { remove(channel, nullptr); }

bool Relay::add(std::string_view channel, Remote* peer) {
  auto found = channels_.find(channel);
  if (found == channels_.end()) {
    found = channels_.emplace(std::string(channel), std::make_unique<Channel>(*this, channel)).first;
  }
  Channel& entry = *found->second;
  const bool active = entry.active();
  const auto member = std::ranges::find(entry.members, peer, &Channel::Member::peer);
  if (member == entry.members.end()) {
    entry.members.push_back({peer, active});
  } else {
    member->confirmed = active;
  }
  return active;
}

void Relay::remove(std::string_view channel, const Remote* peer) noexcept {
  const auto found = channels_.find(channel);
  if (found == channels_.end()) return;
  auto& members = found->second->members;
  std::erase_if(members, [peer](const Channel::Member& member) { return member.peer == peer; });
  if (members.empty()) channels_.erase(found);
}

void Relay::forget(const Remote* peer) noexcept {
  std::erase_if(channels_, [peer](auto& entry) {
    auto& members = entry.second->members;
    std::erase_if(members, [peer](const Channel::Member& member) { return member.peer == peer; });
    return members.empty();
  });
}

// ---- other workers

void Relay::add_peer(int fd) {
  if (fd < 0) return;
  try {
    remote_.push_back(std::make_unique<Remote>(loop_, fd, static_cast<RelayPipe::Owner&>(*this)));
  } catch (const std::exception& error) {  // it finds its end closed
    log_warning("cannot pass events of topics to a worker", {{"error", error.what()}});
  }
}

void Relay::pipe_record(RelayPipe& pipe, const RelayRecord& record) {
  const auto found = std::ranges::find(remote_, &pipe, [](const auto& remote) { return &remote->pipe; });
  Remote* const peer = found->get();
  if (record.kind == RelayKind::subscribe) {
    if (add(record.channel, peer)) peer->pipe.send({RelayKind::subscribed, record.channel, {}});
  } else if (record.kind == RelayKind::unsubscribe) {
    remove(record.channel, peer);
  }
}

void Relay::pipe_ended(RelayPipe& pipe) {
  const auto found = std::ranges::find(remote_, &pipe, [](const auto& remote) { return &remote->pipe; });
  forget(found->get());
  remote_.erase(found);
  if (remote_.empty() && peers_gone_) peers_gone_();
}

void Relay::drop_lagging() {
  some_lag_ = false;
  for (const auto& peer : remote_) {
    if (!std::exchange(peer->lags, false)) continue;
    forget(peer.get());
    peer->pipe.drop_queued();
    peer->pipe.send({RelayKind::lost, {}, {}});
    pronghorn::add(row_[Count::events_relay_overflows]);
    if (std::exchange(peer->told, true)) continue;
    log_warning(
        "a worker reads the events of its topics too slowly: it gets those of a history from there, and no others",
        {{"queued_bytes", kMaxQueued}});
  }
}

// Called for the first channel; the subscriptions of all others end with it.
void Relay::upstream_lost() {
  Peer* const own = own_;
  channels_.clear();
  for (const auto& peer : remote_) peer->pipe.send({RelayKind::lost, {}, {}});
  if (own != nullptr) own->relay_lost();
}

void Relay::close() noexcept {
  own_ = nullptr;
  peers_gone_ = {};
  channels_.clear();
  remote_.clear();
}

}  // namespace pronghorn::worker
