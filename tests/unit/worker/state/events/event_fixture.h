// A worker whose events are tested, and its Redis.
#pragma once

#include <string>

#include "pronghorn/topics.h"
#include "unit/worker/state/state_worker.h"

namespace pronghorn::test {

inline constexpr PublishOptions kKept{.history = 1000};

struct EventWorker {
  explicit EventWorker(RedisOptions options = {}) : redis(std::move(options)), worker(redis.url()) { worker.ready(); }

  [[nodiscard]] Events events() const { return Events(worker.state->events); }
  Published publish(const std::string& topic, const std::string& payload, PublishOptions options = {}) {
    return worker.run(events().publish(topic, payload, options));
  }
  // Waits until Redis knows of a subscription to the topic.
  void subscribed(const std::string& topic = "t") {
    REQUIRE(worker.wait([&] { return redis.command({"PUBSUB", "NUMSUB", "app:e:" + topic}).ends_with("\n1"); }));
  }

  RedisProcess redis;
  StateWorker worker;
};

}  // namespace pronghorn::test
