#include "worker/state/events/messages/topic_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "common/config/redis_url.h"
#include "pronghorn/topics.h"
#include "worker/state/keys/key.h"

namespace pronghorn {

bool is_topic(std::string_view text) noexcept {
  const auto is_control = [](char byte) {
    const auto value = static_cast<unsigned char>(byte);
    return value < 0x20 || value == 0x7f;
  };
  return !text.empty() && text.size() <= kMaxTopic && std::ranges::none_of(text, is_control);
}

}  // namespace pronghorn

namespace pronghorn::worker {

void require_topic(std::string_view topic) {
  if (is_topic(topic)) return;
  throw std::invalid_argument(fmt::format("a topic has 1 to {} bytes and no control characters", kMaxTopic));
}

void require_pattern(std::string_view pattern) {
  if (is_topic(pattern)) return;
  throw std::invalid_argument(
      fmt::format("on_event(): a pattern has 1 to {} bytes and no control characters", kMaxTopic));
}

namespace {

int database_of(const std::string& redis) {
  return redis == "embedded" || redis == "none" ? 0 : parse_redis_url(redis).database;
}

}  // namespace

TopicNames::TopicNames(const Config& config) : TopicNames(config.name, database_of(config.redis)) {}

TopicNames::TopicNames(std::string_view name, int database)
    : keys_(key_prefix(name) + ":e:"),
      channels_(database == 0 ? keys_ : key_prefix(name) + ":e@" + std::to_string(database) + ":") {}

std::string_view TopicNames::topic(std::string_view channel) const noexcept {
  return channel.starts_with(channels_) ? channel.substr(channels_.size()) : std::string_view();
}

std::string TopicNames::glob(std::string_view pattern) const {
  std::string glob = channels_;  // escape_key() has left no special character in it
  for (const char byte : pattern) {
    if (std::string_view("?[]\\^").find(byte) != std::string_view::npos) glob += '\\';
    glob += byte;
  }
  return glob;
}

std::string TopicNames::tagged(std::string_view topic) const { return keys_ + "{" + bounded_key(topic) + "}"; }

}  // namespace pronghorn::worker
