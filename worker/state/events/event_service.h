// The worker's events: publishing, the topics that are read, and the handlers of on_event().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/task.h"
#include "pronghorn/topics.h"
#include "worker/state/events/event_handlers.h"
#include "worker/state/events/messages/topic_names.h"
#include "worker/state/events/topic.h"
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

  // The topic of that name, for a new reader. Throws std::invalid_argument.
  [[nodiscard]] Topic& topic(std::string_view name);
  void remove(Topic& topic) noexcept;  // for the topic: its last reader has left

  // Calls `function` for the events of the pattern. Throws std::invalid_argument. Both must outlive it.
  void handle(std::string_view pattern, const EventHandler::Function& function, pronghorn::Worker& worker);
  // No handler gets events from now on; those that wait are still handled.
  void stop_handlers() noexcept;

  // For topics, readers and handlers.
  [[nodiscard]] RedisClient& client() noexcept { return *client_; }
  [[nodiscard]] Subscriber& subscriber() noexcept { return *subscriber_; }
  [[nodiscard]] Subscriber& topic_subscriber() noexcept { return *topic_subscriber_; }
  [[nodiscard]] const TopicNames& names() const noexcept { return names_; }
  void count_delivered(std::uint64_t events = 1) noexcept { add(row_[Count::events_delivered], events); }
  void count_dropped(std::uint64_t events) noexcept { add(row_[Count::events_dropped], events); }
  void count_gap() noexcept { add(row_[Count::events_gaps]); }
  // A message that is not an event of ours: logged once.
  void refuse_message(std::string_view topic);
  // What Redis has under the keys of a history is something else: logged once.
  void history_is_broken(std::string_view topic, std::string_view error);

 private:
  RedisClient* client_;
  Subscriber* subscriber_;
  Subscriber* topic_subscriber_;
  WorkerRow& row_;
  TopicNames names_;
  bool told_foreign_ = false;
  bool told_broken_ = false;
  std::map<std::string, std::unique_ptr<Topic>, std::less<>> topics_;
  std::vector<std::unique_ptr<HandledEvents>> handlers_;
};

}  // namespace pronghorn::worker
