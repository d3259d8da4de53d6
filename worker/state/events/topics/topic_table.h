// The topics that this worker reads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "worker/state/events/messages/event_tally.h"
#include "worker/state/events/messages/topic_names.h"
#include "worker/state/events/topics/topic.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::worker {

// Context:   loop thread; one per worker. Must outlive all listeners of its topics.
// Ownership: of the topics. What the constructor is given must outlive it.
class TopicTable {
 public:
  // `client` reads histories, `subscriber` gets what is published: from the machine's relay, if there is one. With
  // --redis none both are null, and no topic may be opened.
  TopicTable(RedisClient* client, Subscriber* subscriber, const TopicNames& names, EventTally& tally) noexcept
      : client_(client), subscriber_(subscriber), names_(names), tally_(tally) {}
  TopicTable(const TopicTable&) = delete;
  TopicTable& operator=(const TopicTable&) = delete;

  // The topic of that name, for a new listener. Throws std::invalid_argument if the name is invalid.
  [[nodiscard]] Topic& open(std::string_view name);
  void remove(Topic& topic) noexcept;  // for the topic: its last listener has left

  // For topics and their listeners.
  [[nodiscard]] RedisClient& client() noexcept { return *client_; }
  [[nodiscard]] Subscriber& subscriber() noexcept { return *subscriber_; }
  [[nodiscard]] const TopicNames& names() const noexcept { return names_; }
  [[nodiscard]] EventTally& tally() noexcept { return tally_; }

 private:
  RedisClient* client_;
  Subscriber* subscriber_;
  const TopicNames& names_;
  EventTally& tally_;
  std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;
};

}  // namespace pronghorn::worker
