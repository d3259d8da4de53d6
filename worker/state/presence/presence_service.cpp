#include "worker/state/presence/presence_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "common/log.h"
#include "pronghorn/topics.h"
#include "worker/state/keys/key.h"

namespace pronghorn::worker {
namespace {

void require_member(std::string_view topic, std::string_view id, std::string_view data) {
  require_topic(topic);
  if (id.size() > PresenceService::kMaxId || !is_topic(id)) {  // the same rule for its bytes
    throw std::invalid_argument(
        fmt::format("presence: an id has 1 to {} bytes and no control characters", PresenceService::kMaxId));
  }
  if (data.size() > kMaxPresenceData) {
    throw std::invalid_argument(
        fmt::format("presence: the data of a member has {} bytes, more than {}", data.size(), kMaxPresenceData));
  }
}

}  // namespace

PresenceService::PresenceService(RedisClient* client, Subscriber* subscriber, const Config& config, PresenceTimes times)
    : client_(client),
      subscriber_(subscriber),
      times_(times),
      prefix_(key_prefix(config.name) + ":p"),
      names_(config) {}

// ---- members

void PresenceService::join(std::string_view topic, std::string_view id, std::string_view data) {
  require_member(topic, id, data);
  if (client_ != nullptr && !closed_) this->topic(topic).join(id, data);
}

void PresenceService::leave(std::string_view topic, std::string_view id) {
  require_member(topic, id, {});
  if (client_ != nullptr && !closed_) this->topic(topic).leave(id);
}

void PresenceService::release(std::string_view topic, std::string_view id) {
  const auto found = topics_.find(topic);
  if (found != topics_.end()) found->second->release(id);
}

void PresenceService::close() noexcept {
  closed_ = true;
  subscription_.reset();
  topics_.clear();
}

PresenceTopic& PresenceService::topic(std::string_view name) {
  if (!std::exchange(listens_, true)) subscription_ = subscriber_->subscribe(prefix_, *this);
  auto found = topics_.find(name);
  if (found == topics_.end()) {
    found = topics_.emplace(std::string(name), std::make_unique<PresenceTopic>(*this, name)).first;
  }
  return *found->second;
}

void PresenceService::remove(PresenceTopic& topic) noexcept { topics_.erase(topics_.find(topic.name())); }

// ---- renewals

void PresenceService::interrupted(std::string_view) { interrupted_ = true; }

// Not all topics of all workers at once.
void PresenceService::subscribed(std::string_view) {
  if (!std::exchange(interrupted_, false)) return;
  for (const auto& [name, topic] : topics_) topic->renew_after(random_between({}, times_.renewal / 8));
}

std::chrono::milliseconds PresenceService::next_renewal() {
  return random_between(times_.renewal * 3 / 4, times_.renewal);
}

std::chrono::milliseconds PresenceService::random_between(std::chrono::milliseconds from,
                                                          std::chrono::milliseconds to) {
  return std::chrono::milliseconds(std::uniform_int_distribution(from.count(), to.count())(random_));
}

// ---- who is there

PresenceKeys PresenceService::keys_of(std::string_view topic) const {
  const std::string leases = fmt::format("{}:{{{}}}", prefix_, bounded_key(topic));
  return {leases, leases + ":d", names_.channel("presence:" + std::string(topic))};
}

Task<std::uint64_t> PresenceService::count(std::string topic, CallOptions options) {
  const PresenceKeys keys = keys_of(topic);
  co_return co_await count_present(*client_, keys, options);
}

Task<PresenceList> PresenceService::list(std::string topic, std::size_t limit, CallOptions options) {
  const PresenceKeys keys = keys_of(topic);
  co_return co_await list_present(*client_, keys, std::min(limit, kMaxPresenceList), options);
}

// A cursor is that of Redis: a number of 64 bits.
Task<PresencePage> PresenceService::page(std::string topic, std::string cursor, CallOptions options) {
  if (cursor.empty()) cursor = "0";
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), number);
  if (error != std::errc() || end != cursor.data() + cursor.size()) {
    throw std::invalid_argument("page(): the cursor is not one that an earlier page had");
  }
  const PresenceKeys keys = keys_of(topic);
  co_return co_await page_of_present(*client_, keys, cursor, options);
}

void PresenceService::tell_broken(std::string_view key, std::string_view error) {
  if (std::exchange(told_broken_, true)) return;
  log_error(
      "presence cannot be kept: its keys in Redis hold something else, or the user may not run the scripts; "
      "members are missing until that is repaired",
      {{"key", key}, {"error", error}});
}

}  // namespace pronghorn::worker
