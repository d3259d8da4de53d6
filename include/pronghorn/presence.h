// Presence: who is in a topic, over all workers and machines that share one Redis.
//
//   const std::uint64_t sockets = co_await request.presence("room:1").count();
//   const PresenceList who = co_await request.presence("room:1").list();
//   return topic_stream(request, "presence:room:1");      // {"join":"ID"} and {"leave":"ID"}, as they happen
//
// Who is present is a socket, by its id. A socket that moves to another worker, because its own was replaced or killed,
// stays present. One whose machine is gone is present for up to a minute more.
//
// Context: the worker's loop thread. See docs/app/events.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

namespace detail {
class PresenceService;
}  // namespace detail

inline constexpr std::size_t kMaxPresenceData = 256;     // bytes
inline constexpr std::size_t kMaxPresenceList = 10'000;  // members

struct PresentMember {
  std::string id;
  std::string data;  // what it has joined with; may be empty
};

struct PresenceList {
  std::vector<PresentMember> members;  // in no particular order
  std::uint64_t count = 0;             // how many there are, listed or not
};

struct PresencePage {
  std::vector<PresentMember> members;  // about 1000, in no particular order; may be empty
  std::string next;                    // the cursor of the next page; empty: this was the last
};

// A handle to the presence in one topic, from request.presence() or worker.presence(). Valid for the life of the
// worker. All functions are one round trip, and throw RedisUnavailable (answered 503) if Redis cannot serve.
class PRONGHORN_API Presence {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // For Request and Worker. Throws std::invalid_argument for an invalid topic. Calls fail when `until` has passed.
  Presence(detail::PresenceService& service, std::string_view topic, TimePoint until = TimePoint::max());

  // How many members the topic has.
  [[nodiscard]] Task<std::uint64_t> count();
  // At most `limit` members, and at most kMaxPresenceList. Redis works through them in one step: ask for as many as are
  // shown.
  [[nodiscard]] Task<PresenceList> list(std::size_t limit = 100);
  // All members, a page at a time: begin with an empty cursor, and continue with `next`, which a client may keep.
  // Members that are present all the while are on at least one page, perhaps on two; those that come or go meanwhile
  // may be on none. Throws std::invalid_argument for a text that is not a cursor.
  [[nodiscard]] Task<PresencePage> page(std::string cursor = {});

 private:
  detail::PresenceService* service_;
  std::string topic_;
  TimePoint until_;
};

}  // namespace pronghorn
