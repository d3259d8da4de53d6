// The events of one App::on_event() in one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "pronghorn/task.h"
#include "pronghorn/topics.h"
#include "worker/state/events/messages/event_tally.h"
#include "worker/state/events/messages/topic_names.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::worker {

// Handles the events in order, one at a time, in a background task of the Runtime, which a drain waits for.
//
// Context:   loop thread, with a current Runtime.
// Ownership: must outlive the background tasks.
class HandledEvents final : private Subscriber::Listener {
 public:
  static constexpr std::size_t kMaxWaiting = 1024;
  static constexpr std::size_t kMaxWaitingBytes = 4 * 1024 * 1024;

  // Everything but `pattern` must outlive it.
  HandledEvents(Subscriber& subscriber, const TopicNames& names, EventTally& tally, std::string_view pattern,
                const EventHandler::Function& function, pronghorn::Worker& worker);
  HandledEvents(const HandledEvents&) = delete;
  HandledEvents& operator=(const HandledEvents&) = delete;
  ~HandledEvents() = default;

  void stop() noexcept { subscription_.reset(); }  // no more events arrive; those that wait are still handled

 private:
  void message(std::string_view channel, const Reply& payload) override;
  void interrupted(std::string_view) override { gap_ = true; }
  [[nodiscard]] bool has_room(std::size_t bytes);
  [[nodiscard]] Task<void> run();

  const TopicNames& names_;
  EventTally& tally_;
  std::string pattern_;
  const EventHandler::Function& function_;
  pronghorn::Worker& worker_;
  std::deque<Event> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool running_ = false;
  bool gap_ = false;           // events may have been missed before the next one
  std::uint64_t dropped_ = 0;  // since the queue was full; 0: it is not
  Subscription subscription_;
};

}  // namespace pronghorn::worker
