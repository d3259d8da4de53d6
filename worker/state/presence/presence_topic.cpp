#include "worker/state/presence/presence_topic.h"

#include <algorithm>
#include <utility>

#include "worker/state/presence/presence_service.h"

namespace pronghorn::worker {

using SteadyClock = std::chrono::steady_clock;

PresenceTopic::PresenceTopic(PresenceService& service, std::string_view topic)
    : service_(service), name_(topic), keys_(service.keys_of(topic)) {
  renew_after(service_.next_renewal());
}

// ---- what members do

void PresenceTopic::join(std::string_view id, std::string_view data) {
  Entry& entry = *members_.try_emplace(std::string(id)).first;
  entry.second.wish = Wish::present;
  entry.second.data = data;
  queue(entry);
}

void PresenceTopic::leave(std::string_view id) {
  Entry& entry = *members_.try_emplace(std::string(id)).first;
  entry.second.wish = Wish::absent;
  entry.second.left = SteadyClock::now();
  queue(entry);
}

void PresenceTopic::release(std::string_view id) {
  const auto found = members_.find(std::string(id));
  if (found == members_.end()) return;
  found->second.wish = Wish::released;
  settle(*found);
  end_if_empty();
}

void PresenceTopic::renew_after(std::chrono::milliseconds delay) {
  renewal_.emplace(delay);
  renewal_->arm([](void* topic) { static_cast<PresenceTopic*>(topic)->renew(); }, this);
}

void PresenceTopic::renew() {
  renew_after(service_.next_renewal());
  for (Entry& entry : members_) {
    if (entry.second.wish == Wish::present) queue(entry);
  }
}

// ---- calls

void PresenceTopic::queue(Entry& entry) {
  if (!std::exchange(entry.second.queued, true)) queue_.push_back(&entry);
  if (std::exchange(busy_, true)) return;
  turn_.arm([](void* topic) { static_cast<PresenceTopic*>(topic)->pump(); }, this);
}

void PresenceTopic::pump() {
  call_ = call();
  call_.start();
}

PresenceChange PresenceTopic::take_batch() {
  PresenceChange change;
  const std::size_t size = std::min(queue_.size(), kBatch);
  for (std::size_t i = 0; i < size; ++i) {
    Entry& entry = *queue_[i];
    entry.second.queued = false;
    if (entry.second.wish == Wish::released) {
      settle(entry);
      continue;
    }
    entry.second.in_flight = true;
    batch_.push_back(&entry);
    if (entry.second.wish == Wish::present) {
      change.joins.push_back({entry.first, entry.second.data});
    } else {
      change.leaves.push_back(entry.first);
    }
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(size));
  return change;
}

Task<void> PresenceTopic::call() {
  const PresenceChange change = take_batch();
  repeat_after_ = {};
  try {
    if (!batch_.empty()) co_await change_presence(service_.client(), keys_, change, service_.times().lease);
  } catch (const RedisUnavailable&) {
    repeat_after_ = std::chrono::seconds(1);
  } catch (const std::exception& error) {
    service_.tell_broken(keys_.leases, error.what());
    repeat_after_ = std::max(service_.times().renewal / 8, std::chrono::milliseconds(1));
  }
  auto& timer = repeat_after_.count() > 0 ? retry_.emplace(repeat_after_) : turn_;
  timer.arm([](void* topic) { static_cast<PresenceTopic*>(topic)->called(); }, this);  // may destroy this coroutine
}

void PresenceTopic::called() {
  for (Entry* entry : std::exchange(batch_, {})) {
    Member& member = entry->second;
    member.in_flight = false;
    // A member that left long ago has no lease any more.
    const bool needs_repeat = member.wish == Wish::present || SteadyClock::now() - member.left < service_.times().lease;
    if (repeat_after_.count() > 0 && needs_repeat && member.wish != Wish::released) {
      queue(*entry);
    } else {
      settle(*entry);
    }
  }
  if (!queue_.empty()) return pump();
  busy_ = false;
  end_if_empty();
}

// Forgets the member if nothing is to be done for it.
void PresenceTopic::settle(Entry& entry) {
  const Member& member = entry.second;
  if (member.wish != Wish::present && !member.queued && !member.in_flight) members_.erase(members_.find(entry.first));
}

void PresenceTopic::end_if_empty() {
  if (members_.empty() && !busy_) service_.remove(*this);
}

}  // namespace pronghorn::worker
