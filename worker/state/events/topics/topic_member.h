// One of many that are in a topic, such as a WebSocket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "worker/state/events/messages/bookmark.h"
#include "worker/state/events/messages/event_message.h"

namespace pronghorn::worker {

class TopicGroup;
class TopicTable;

// Gets the events of a topic by calls, in order, without gaps and duplicates as far as Redis has the events: first those
// after its bookmark, from the history, then each as it is published. It has neither a queue nor a coroutine, and costs
// sizeof(TopicMember) and a pointer.
//
// The virtual functions are called from the loop, never from within join(). Inside such a call a member may leave, be
// destroyed, and do both to others; members may join any topic. They must not throw.
//
// Context:   loop thread.
// Ownership: the derived class. The topic points to it. Must not outlive the TopicTable.
class TopicMember {
 public:
  TopicMember() noexcept = default;
  TopicMember(const TopicMember&) = delete;
  TopicMember& operator=(const TopicMember&) = delete;

  // Must not be joined already. Throws std::invalid_argument for an invalid topic.
  void join(TopicTable& table, std::string_view topic, const Bookmark& begins = {});
  // No more calls. Does nothing if it is not joined.
  void leave() noexcept;

  [[nodiscard]] bool joined() const noexcept { return group_ != nullptr; }
  // Must be joined. Valid until it leaves.
  [[nodiscard]] const std::string& topic() const noexcept;
  // Of the last event that it was given, or after which it begins, for a Bookmark that continues there. Its epoch is 0
  // if the topic has no history. nullopt if it is not joined, and until began() is called.
  [[nodiscard]] std::optional<Position> position() const noexcept;
  // Whether it gets each event as it is published. False: it is behind, or waits for Redis.
  [[nodiscard]] bool is_live() const noexcept { return group_ != nullptr && place_ == Place::live; }

  // Goes on after wants() was false.
  void resume() noexcept;

 protected:
  ~TopicMember() { leave(); }

 private:
  friend class CatchUp;
  friend class MemberList;
  friend class TopicGroup;
  enum class Place : std::uint8_t { waiting, behind, paused, live };

  virtual void event(const EventPtr& event) = 0;
  virtual void gap(Gap gap) = 0;  // before what follows
  // position() is known now. Not called if it was known when join() had returned.
  virtual void began(const Position& position) { (void)position; }
  // Asked before each event of the history. False: there is no more of it until resume(). Must not change anything.
  // Events without a history, and all once it is live, come regardless.
  [[nodiscard]] virtual bool wants() noexcept { return true; }

  TopicGroup* group_ = nullptr;  // null: not joined
  Bookmark bookmark_;            // stays behind the group's once it is live
  std::uint32_t index_ = 0;      // in the group's list for `place_`
  Place place_ = Place::waiting;
  bool ahead_ = false;  // live, and the history gave it events that the topic has yet to get
};
static_assert(sizeof(TopicMember) <= 64);

}  // namespace pronghorn::worker
