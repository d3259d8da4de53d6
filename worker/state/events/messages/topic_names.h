// Names of topics, and what they are called in Redis.
#pragma once

#include <string>
#include <string_view>

#include "common/config/config.h"

namespace pronghorn::worker {

// Throws std::invalid_argument unless `topic` is one. (is_topic() is in pronghorn/topics.h.)
void require_topic(std::string_view topic);
// The same for a pattern: '*' is not special in either.
void require_pattern(std::string_view pattern);

// Names in Redis begin with "NAME:e:" (NAME: option `name`), those of channels with "NAME:e@N:" if the option `redis` has
// the database N: Redis passes what is published in one database on to the subscribers of all.
class TopicNames {
 public:
  explicit TopicNames(const Config& config);
  explicit TopicNames(std::string_view name, int database = 0);

  // The channel of a topic: the prefix and its bytes.
  [[nodiscard]] std::string channel(std::string_view topic) const { return channels_ + std::string(topic); }
  // The topic of a channel; empty if the channel is not ours.
  [[nodiscard]] std::string_view topic(std::string_view channel) const noexcept;
  // The glob of Redis for a pattern, in which only '*' is special.
  [[nodiscard]] std::string glob(std::string_view pattern) const;
  // The keys of a topic's history. They share a hash tag.
  [[nodiscard]] std::string facts_key(std::string_view topic) const { return tagged(topic); }
  [[nodiscard]] std::string stream_key(std::string_view topic) const { return tagged(topic) + ":s"; }
  // What `publisher` has published to the topic last. It shares their tag.
  [[nodiscard]] std::string publisher_key(std::string_view topic, std::string_view publisher) const {
    return tagged(topic) + ":p:" + std::string(publisher);
  }

 private:
  [[nodiscard]] std::string tagged(std::string_view topic) const;

  std::string keys_;
  std::string channels_;
};

}  // namespace pronghorn::worker
