#include "worker/state/events/event_service.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "worker/state/events/messages/history.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/reply_errors.h"

namespace pronghorn::worker {
namespace {

constexpr std::chrono::milliseconds kShortestKeep = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kLongestKeep = std::chrono::days(366);

void require_publishable(std::string_view payload, const PublishOptions& options) {
  if (payload.size() > kMaxEventPayload) {
    throw std::invalid_argument(
        fmt::format("publish(): the payload has {} bytes, more than {}", payload.size(), kMaxEventPayload));
  }
  if (options.history > kMaxEventHistory) {
    throw std::invalid_argument(
        fmt::format("publish(): a history of {} events is longer than {}", options.history, kMaxEventHistory));
  }
  if (options.history > 0 && (options.keep < kShortestKeep || options.keep > kLongestKeep)) {
    throw std::invalid_argument(
        fmt::format("publish(): a history must be kept for at least a second and at most 366 days, not {} ms",
                    options.keep.count()));
  }
}

}  // namespace

EventService::EventService(RedisClient* client, Subscriber* subscriber, Subscriber* topics, const Config& config,
                           WorkerRow& row)
    : client_(client),
      subscriber_(subscriber),
      names_(config),
      tally_(names_, row),
      topics_(client, topics, names_, tally_) {}

Task<Published> EventService::publish(std::string topic, std::string payload, PublishOptions options,
                                      std::string publisher, std::uint64_t number) {
  require_topic(topic);
  require_publishable(payload, options);
  const std::string channel = names_.channel(topic);
  Published published;
  std::int64_t receivers = 0;
  if (options.history > 0) {
    HistoryKeys keys{names_.facts_key(topic), names_.stream_key(topic)};
    if (!publisher.empty()) keys.publisher = names_.publisher_key(topic, publisher);
    const KeptEvent kept =
        co_await publish_kept(*client_, keys, channel, payload, options.history, options.keep, number);
    receivers = kept.receivers;
    published.id = to_text(kept.position);
  } else {
    const std::string message = plain_message(payload);
    RedisCall call(*client_);
    call.send({"PUBLISH", channel, message});
    co_await call;
    require_served(call.reply());
    receivers = call.reply().integer();
  }
  if (!client_->is_cluster()) published.receivers = receivers;
  tally_.published();
  co_return published;
}

void EventService::handle(std::string_view pattern, const EventHandler::Function& function, pronghorn::Worker& worker) {
  require_pattern(pattern);
  handlers_.push_back(std::make_unique<HandledEvents>(*subscriber_, names_, tally_, pattern, function, worker));
}

void EventService::stop_handlers() noexcept {
  for (const auto& handler : handlers_) handler->stop();
}

}  // namespace pronghorn::worker
