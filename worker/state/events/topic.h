// A topic that this worker reads: one subscription, and one copy of each event, for all its readers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/task.h"
#include "pronghorn/timer.h"
#include "worker/state/events/event_message.h"
#include "worker/state/events/history.h"
#include "worker/state/events/reader.h"
#include "worker/state/redis/subscriber.h"

namespace pronghorn::worker {

class EventService;

// Gives its readers the events in order and without gaps, as far as Redis has them. It subscribes, then asks where the
// history ends; it is live from then on. When it has missed something (an interruption, an offset that does not
// follow), it parks what arrives and reads the history from its own position, once for all its readers, then goes on
// live.
//
// Context:   loop thread.
// Ownership: the EventService. The topic removes itself when its last reader leaves.
class Topic final : private Subscriber::Listener {
 public:
  Topic(EventService& service, std::string_view name);
  Topic(const Topic&) = delete;
  Topic& operator=(const Topic&) = delete;
  ~Topic() = default;

  void join(TopicReader& reader);
  void leave(TopicReader& reader) noexcept;  // may destroy the topic

  [[nodiscard]] EventService& service() noexcept { return service_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const HistoryKeys& keys() const noexcept { return keys_; }
  // Of the last event that the readers were given.
  [[nodiscard]] const Position& position() const noexcept { return position_; }

 private:
  enum class State {
    waiting,      // there is no subscription
    reading,      // the history is being read; what arrives is parked
    catching_up,  // what was parked is being delivered
    live,
  };
  enum class Outcome { arrived, later, broken };

  // Subscriber::Listener
  void message(std::string_view channel, const Reply& payload) override;
  void subscribed(std::string_view name) override;
  void interrupted(std::string_view name) override;

  void begin_read();
  [[nodiscard]] Task<void> read();
  void read_ended();
  void take_page();
  void find_gap(const HistoryPage& page);
  void take_parked();
  void park(EventPtr event);
  void forget_parked() noexcept;
  void accept(const EventPtr& event);
  void fall_behind();
  void deliver(const EventPtr& event);
  void offer_gap(Gap gap);
  void tick();
  void wake();  // last: may destroy the topic

  EventService& service_;
  std::string name_;
  HistoryKeys keys_;
  State state_ = State::waiting;
  bool located_ = false;  // position_ is known
  Position position_;
  std::vector<TopicReader*> readers_;  // null: has left while readers are woken; then only
  std::size_t living_ = 0;             // how many are not null
  bool waking_ = false;
  std::deque<EventPtr> parked_;
  std::size_t parked_bytes_ = 0;
  bool parked_too_much_ = false;

  HistoryPage page_;  // what read() has brought
  Outcome outcome_ = Outcome::arrived;
  Task<void> reading_;
  pronghorn::detail::Timer settle_{std::chrono::nanoseconds(0)};  // the coroutine read() must not resume others
  pronghorn::detail::Timer retry_{std::chrono::milliseconds(250)};
  pronghorn::detail::Timer tick_{std::chrono::seconds(1)};
  Subscription subscription_;
};

}  // namespace pronghorn::worker
