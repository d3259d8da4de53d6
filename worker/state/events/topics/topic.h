// A topic that this worker reads: one subscription, and one copy of each event, for all who listen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/task.h"
#include "pronghorn/timer.h"
#include "worker/state/events/messages/event_message.h"
#include "worker/state/events/messages/history.h"
#include "worker/state/events/messages/topic_listener.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::worker {

class TopicGroup;
class TopicTable;

// Gives its listeners the events in order and without gaps, as far as Redis has them. It subscribes, then asks where the
// history ends; it is live from then on. When it has missed something (an interruption, an offset that does not
// follow), it parks what arrives and reads the history from its own position, once for all its listeners, then goes on
// live.
//
// Listeners are TopicReaders, one per stream of server-sent events, and one TopicGroup for any number of TopicMembers.
// Workers have many topics (a socket may have one of its own), so a topic is small while nothing happens in it.
//
// Context:   loop thread.
// Ownership: the TopicTable. The topic removes itself when its last listener leaves.
class Topic final : private Subscriber::Listener {
 public:
  Topic(TopicTable& table, std::string_view name);
  Topic(const Topic&) = delete;
  Topic& operator=(const Topic&) = delete;
  ~Topic();

  void join(TopicListener& listener);
  void leave(TopicListener& listener) noexcept;  // may destroy the topic
  void want_ticks();                             // of all listeners, until none wants more
  // For members. It is one of the listeners while it has members.
  [[nodiscard]] TopicGroup& group();

  [[nodiscard]] TopicTable& table() noexcept { return table_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const HistoryKeys& keys() const noexcept { return keys_; }
  // Of the last event that the listeners were given.
  [[nodiscard]] const Position& position() const noexcept { return position_; }
  // Whether events arrive as they are published, and position() is known.
  [[nodiscard]] bool is_live() const noexcept { return state_ == State::live; }

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
  void tell_where_it_is();
  void take_parked();
  void park(EventPtr event);
  void forget_parked() noexcept;
  void accept(const EventPtr& event);
  void fall_behind();
  void deliver(const EventPtr& event);
  void offer_gap(Gap gap);
  void arm_tick();
  void tick();
  void wake();  // last: may destroy the topic

  TopicTable& table_;
  std::string name_;
  HistoryKeys keys_;
  State state_ = State::waiting;
  bool located_ = false;  // position_ is known
  Position position_;
  std::vector<TopicListener*> listeners_;  // null: has left while listeners are woken; then only
  std::size_t living_ = 0;                 // how many are not null
  bool waking_ = false;
  bool ticking_ = false;
  std::unique_ptr<TopicGroup> group_;  // null: there was never a member
  std::vector<EventPtr> parked_;
  std::size_t parked_taken_ = 0;  // so many of them were delivered
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
