// Gives the members of a topic that are behind what they have missed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <vector>

#include "pronghorn/task.h"
#include "pronghorn/timer.h"
#include "worker/state/events/messages/history.h"

namespace pronghorn::worker {

class TopicGroup;

// Reads the history, one page at a time for all that are behind: thousands of sockets that come from a worker that has
// died are behind by the same few events. So the members cost no memory while they are behind, and Redis is asked about
// once. A page serves whoever is within it, a limited number of events in each turn of the loop.
//
// A page ends where the history ended when it was read. What was published since is noted, so that a member goes on from
// the page to live events without reading again.
//
// Context:   loop thread.
// Ownership: the TopicGroup, for as long as members are behind.
class CatchUp {
 public:
  explicit CatchUp(TopicGroup& group) : group_(group) {}
  CatchUp(const CatchUp&) = delete;
  CatchUp& operator=(const CatchUp&) = delete;
  ~CatchUp() = default;

  void need();                       // there are members that are behind
  void note(const EventPtr& event);  // was given to the members that are live

 private:
  enum class State : std::uint8_t { idle, reading, later, broken, serving };

  void begin_read();
  [[nodiscard]] Task<void> read();
  void arm(pronghorn::detail::Timer& timer);
  void turn();
  void serve();
  void give_up();
  [[nodiscard]] bool fits(const Position& position) const noexcept;
  [[nodiscard]] std::size_t serve_member(std::size_t index);
  [[nodiscard]] bool give(std::size_t index, const EventPtr& event);

  TopicGroup& group_;
  State state_ = State::idle;
  Position asked_;  // the page is what follows it
  HistoryPage page_;
  std::size_t cursor_ = 0;  // members before it were served from the page
  std::size_t front_ = 0;   // whose turn it is to have a page read
  bool stuck_ = false;      // the page had nothing for somebody who nevertheless is behind
  bool recent_is_whole_ = true;
  std::vector<EventPtr> recent_;  // noted since the page was asked for
  std::size_t recent_bytes_ = 0;
  Task<void> task_;
  pronghorn::detail::Timer turn_{std::chrono::nanoseconds(0)};
  pronghorn::detail::Timer retry_{std::chrono::milliseconds(250)};
};

}  // namespace pronghorn::worker
