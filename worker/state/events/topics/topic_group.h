// All members that a topic has in this worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pronghorn/timer.h"
#include "worker/state/events/messages/topic_listener.h"
#include "worker/state/events/topics/member_list.h"
#include "worker/state/events/topics/topic_member.h"

namespace pronghorn::worker {

class CatchUp;
class Topic;

// Calls the members that are live for each event that the topic offers; a CatchUp serves those that are behind.
//
// Context:   loop thread.
// Ownership: the Topic. When the last member has left, the group leaves it, which may destroy both.
class TopicGroup final : public TopicListener {
 public:
  explicit TopicGroup(Topic& topic);
  TopicGroup(const TopicGroup&) = delete;
  TopicGroup& operator=(const TopicGroup&) = delete;
  ~TopicGroup();

  // For TopicMember.
  void join(TopicMember& member);
  void leave(TopicMember& member) noexcept;
  void resume(TopicMember& member);
  [[nodiscard]] std::optional<Position> position_of(const TopicMember& member) const noexcept;
  [[nodiscard]] const std::string& topic_name() const noexcept;

 private:
  friend class CatchUp;
  using Place = TopicMember::Place;
  // What the topic has told since wake(): an event, a gap, or that it is at `position`.
  struct Told {
    EventPtr event = nullptr;
    Gap gap = Gap::none;
    Position position = {};
  };

  // TopicListener
  void begin(const Position& topic) override;
  void offer(const EventPtr& event) override;
  void offer_gap(Gap gap) override;
  void wake() override;

  [[nodiscard]] MemberList& list(Place place) noexcept { return lists_[static_cast<std::size_t>(place)]; }
  [[nodiscard]] std::size_t members() const noexcept;
  void add(TopicMember& member, Place place);
  void move(TopicMember& member, Place to);
  void stop() noexcept;
  // Members are called only between these. The second may destroy the group.
  void begin_calls() noexcept { ++calling_; }
  void end_calls() noexcept;

  void deliver(const Told& told);
  void deliver_plain(Place place, const EventPtr& event);
  void resolve_waiting();
  void resolve(std::size_t index);
  void need_turn();
  void catch_up();

  Topic& topic_;
  bool listed_ = false;        // is a listener of the topic
  bool due_ = false;           // some of those that wait need not wait for the topic
  std::uint32_t calling_ = 0;  // members are being called
  Position position_;          // of the last event that the live members were given
  Position previous_;          // while they are given it: where those from next_ to end_ are
  std::size_t next_ = 0;
  std::size_t end_ = 0;
  std::array<MemberList, 4> lists_;  // by Place
  std::vector<Told> told_;
  std::unique_ptr<CatchUp> catch_up_;  // null: nobody is behind
  pronghorn::detail::Timer turn_{std::chrono::nanoseconds(0)};
};

}  // namespace pronghorn::worker
