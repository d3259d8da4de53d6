// What a worker counts and logs of its events.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "worker/state/events/messages/topic_names.h"

namespace pronghorn::worker {

// Context: loop thread; one per worker. `names` and `row` must outlive it.
class EventTally {
 public:
  EventTally(const TopicNames& names, WorkerRow& row) noexcept : names_(names), row_(row) {}
  EventTally(const EventTally&) = delete;
  EventTally& operator=(const EventTally&) = delete;

  void published() noexcept { add(row_[Count::events_published]); }
  void delivered(std::uint64_t events = 1) noexcept { add(row_[Count::events_delivered], events); }
  void dropped(std::uint64_t events = 1) noexcept { add(row_[Count::events_dropped], events); }
  void gap() noexcept { add(row_[Count::events_gaps]); }

  // A message that publish() did not write. Counted as dropped; only the first is logged.
  void foreign_message(std::string_view topic);
  // What Redis has under the keys of a history is something else. Only the first is logged.
  void broken_history(std::string_view topic, std::string_view error);

 private:
  const TopicNames& names_;
  WorkerRow& row_;
  bool told_foreign_ = false;
  bool told_broken_ = false;
};

}  // namespace pronghorn::worker
