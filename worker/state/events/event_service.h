// The worker's events: what Events and App::on_event() are for the application.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/task.h"
#include "pronghorn/topics.h"
#include "worker/state/events/event_handlers.h"
#include "worker/state/events/messages/event_tally.h"
#include "worker/state/events/messages/topic_names.h"
#include "worker/state/events/topics/topic_table.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::detail {
// What the public headers know of worker::EventService.
class EventService {
 protected:
  ~EventService() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

// Context: loop thread; one per worker. Must outlive all readers.
class EventService final : public pronghorn::detail::EventService {
 public:
  // `subscriber` is for handlers, `topics` for what is read: the machine's relay, if there is one. With --redis none all
  // three are null, and nothing else may be called.
  EventService(RedisClient* client, Subscriber* subscriber, Subscriber* topics, const Config& config, WorkerRow& row);
  EventService(const EventService&) = delete;
  EventService& operator=(const EventService&) = delete;

  // See Events::publish(). With a `publisher`, for topics with a history, an event is published once, however often
  // that is tried: see publish_kept().
  [[nodiscard]] Task<Published> publish(std::string topic, std::string payload, PublishOptions options,
                                        std::string publisher = {}, std::uint64_t number = 0);

  // What this worker reads.
  [[nodiscard]] TopicTable& topics() noexcept { return topics_; }

  // Calls `function` for the events of the pattern. Throws std::invalid_argument. Both must outlive it.
  void handle(std::string_view pattern, const EventHandler::Function& function, pronghorn::Worker& worker);
  // No handler gets events from now on; those that wait are still handled.
  void stop_handlers() noexcept;

 private:
  RedisClient* client_;
  Subscriber* subscriber_;
  TopicNames names_;
  EventTally tally_;
  TopicTable topics_;
  std::vector<std::unique_ptr<HandledEvents>> handlers_;
};

}  // namespace pronghorn::worker
