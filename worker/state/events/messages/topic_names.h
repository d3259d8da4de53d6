// Names of topics, and what they are called in Redis.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// Throws std::invalid_argument unless `topic` is one. (is_topic() is in pronghorn/topics.h.)
void require_topic(std::string_view topic);
// The same for a pattern: '*' is not special in either.
void require_pattern(std::string_view pattern);

// Names in Redis begin with "NAME:e:" (NAME: option `name`), the prefix here.
class TopicNames {
 public:
  explicit TopicNames(std::string_view name);

  // The channel of a topic: the prefix and its bytes.
  [[nodiscard]] std::string channel(std::string_view topic) const { return prefix_ + std::string(topic); }
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

  std::string prefix_;
};

}  // namespace pronghorn::worker
