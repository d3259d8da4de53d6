// The history of a topic in Redis: its latest events, numbered.
//
// Two keys with one hash tag (topic_names.h): a hash with the fields `epoch` and `offset` (of the last event), and a
// stream whose entry N-0 is the event with the offset N. The hash outlives the stream by a day, so that a client that
// comes back late with the last id is not told of a gap. If the hash is lost, a new epoch begins.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/task.h"
#include "worker/state/events/messages/event_message.h"
#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {

struct HistoryKeys {
  std::string facts;
  std::string stream;
  std::string publisher = {};  // what the publisher has published last: see publish_kept(); empty: of no interest
};

struct HistoryPage {
  Position last;                 // of the topic; no epoch: it has no history
  std::vector<EventPtr> events;  // in order, from the one after the asked position, as many as a page holds

  // Of the first event. Of a page without events: where the next event will be.
  [[nodiscard]] std::uint64_t first_offset() const noexcept {
    return events.empty() ? last.offset + 1 : events.front()->position().offset;
  }
  [[nodiscard]] std::uint64_t last_offset() const noexcept {
    return events.empty() ? last.offset : events.back()->position().offset;
  }
};

struct KeptEvent {
  std::int64_t receivers = 0;
  Position position;
};

// Adds an event and publishes it in `channel`, in one step. `keep` is how long the history outlives it. Throws
// RedisUnavailable or RedisError. The arguments must outlive the task.
//
// With a key of the publisher the event is published once, however often that is tried: not if the publisher's last
// event, of the last ten minutes, has this `number` or a higher one; then it yields that last event. Numbers are below
// 2^53, because Lua compares them.
[[nodiscard]] Task<KeptEvent> publish_kept(RedisClient& client, const HistoryKeys& keys, std::string_view channel,
                                           std::string_view payload, std::uint32_t length,
                                           std::chrono::milliseconds keep, std::uint64_t number = 0);

// The events after `after` (no epoch, or another than the topic's: from the first that is kept), at most 64 of them and
// about 256 KiB. Throws the same.
[[nodiscard]] Task<HistoryPage> read_history(RedisClient& client, const HistoryKeys& keys, Position after);
// Only where the history ends.
[[nodiscard]] Task<HistoryPage> read_last_position(RedisClient& client, const HistoryKeys& keys);

}  // namespace pronghorn::worker
