#include "worker/state/events/topics/topic_group.h"

#include <utility>

#include "worker/state/events/topics/catch_up.h"
#include "worker/state/events/topics/topic.h"
#include "worker/state/events/topics/topic_table.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kKeptCapacity = 4;  // of told_, while nothing happens

}  // namespace

TopicGroup::TopicGroup(Topic& topic) : topic_(topic) {}
TopicGroup::~TopicGroup() = default;

// ---- members

void TopicGroup::join(TopicMember& member) {
  if (!std::exchange(listed_, true)) {
    position_ = topic_.position();
    topic_.join(*this);
  }
  member.group_ = this;
  // What has to be told is told in the next turn.
  if (topic_.is_live() && member.bookmark_.begins_with_next() && member.bookmark_.begin(position_).gap == Gap::none) {
    return add(member, Place::live);
  }
  add(member, Place::waiting);
  if (!topic_.is_live()) return;
  due_ = true;
  need_turn();
}

void TopicGroup::leave(TopicMember& member) noexcept {
  list(member.place_).remove(member, calling_ > 0);
  if (calling_ > 0) return;
  begin_calls();
  end_calls();
}

void TopicGroup::resume(TopicMember& member) {
  move(member, Place::behind);
  catch_up();
}

std::optional<Position> TopicGroup::position_of(const TopicMember& member) const noexcept {
  if (member.place_ == Place::live && !member.ahead_) {
    return member.index_ >= next_ && member.index_ < end_ ? previous_ : position_;
  }
  if (member.place_ == Place::waiting && !member.bookmark_.is_known()) return std::nullopt;
  return member.bookmark_.position();
}

const std::string& TopicGroup::topic_name() const noexcept { return topic_.name(); }

std::size_t TopicGroup::members() const noexcept {
  std::size_t members = 0;
  for (const MemberList& list : lists_) members += list.living();
  return members;
}

void TopicGroup::add(TopicMember& member, Place place) {
  member.place_ = place;
  list(place).add(member);
}

void TopicGroup::move(TopicMember& member, Place to) {
  list(member.place_).remove(member, calling_ > 0);
  add(member, to);
}

void TopicGroup::end_calls() noexcept {
  if (--calling_ > 0) return;
  for (MemberList& list : lists_) list.compact();
  if (list(Place::behind).living() == 0) catch_up_.reset();
  if (members() == 0) stop();
}

void TopicGroup::stop() noexcept {
  turn_.cancel();
  due_ = false;
  told_.clear();
  listed_ = false;
  topic_.leave(*this);
}

// ---- what the topic tells

void TopicGroup::begin(const Position& topic) {
  if (list(Place::waiting).living() > 0) told_.push_back({.position = topic});
}

void TopicGroup::offer(const EventPtr& event) { told_.push_back({.event = event, .position = topic_.position()}); }

void TopicGroup::offer_gap(Gap gap) { told_.push_back({.gap = gap, .position = topic_.position()}); }

void TopicGroup::wake() {
  if (told_.empty() && !due_) return;
  turn_.cancel();
  begin_calls();
  if (std::exchange(due_, false)) resolve_waiting();
  for (std::size_t i = 0; i < told_.size(); ++i) deliver(told_[i]);  // nothing is told meanwhile
  told_.clear();
  if (told_.capacity() > kKeptCapacity) told_.shrink_to_fit();
  end_calls();
}

void TopicGroup::deliver(const Told& told) {
  if (told.event == nullptr && told.gap == Gap::none) {
    position_ = told.position;
    return resolve_waiting();
  }
  previous_ = std::exchange(position_, told.position);
  MemberList& live = list(Place::live);
  end_ = live.size();  // not those who join meanwhile
  std::uint64_t given = 0;
  for (std::size_t i = 0; i < end_; ++i) {
    next_ = i + 1;
    TopicMember* member = live[i];
    if (member == nullptr) continue;
    if (told.event == nullptr) {
      member->gap(told.gap);
      continue;
    }
    if (member->ahead_) {
      if (told.event->position() && member->bookmark_.has_passed(told.position)) continue;
      member->ahead_ = !told.event->position();
    }
    member->event(told.event);
    ++given;
  }
  next_ = end_ = 0;
  topic_.table().tally().delivered(given);
  if (told.event == nullptr) return;
  if (told.event->position()) {
    if (catch_up_) catch_up_->note(told.event);
  } else {
    deliver_plain(Place::behind, told.event);
    deliver_plain(Place::paused, told.event);
  }
}

// The history does not have it, so those who read the history get it at once.
void TopicGroup::deliver_plain(Place place, const EventPtr& event) {
  const std::size_t end = list(place).size();
  for (std::size_t i = 0; i < end; ++i) {
    if (TopicMember* member = list(place)[i]) member->event(event);
  }
}

// ---- those who begin

void TopicGroup::resolve_waiting() {
  const std::size_t end = list(Place::waiting).size();
  for (std::size_t i = 0; i < end; ++i) {
    if (list(Place::waiting)[i] != nullptr) resolve(i);
  }
  if (list(Place::behind).living() > 0) catch_up();
}

void TopicGroup::resolve(std::size_t index) {
  TopicMember* const member = list(Place::waiting)[index];
  const bool was_known = member->bookmark_.is_known();
  const Bookmark::Start start = member->bookmark_.begin(position_);
  move(*member, start.behind ? Place::behind : Place::live);
  const MemberList& members = list(member->place_);
  const std::size_t place = member->index_;
  if (!was_known) member->began(member->bookmark_.position());
  if (start.gap != Gap::none && members[place] != nullptr) member->gap(start.gap);
}

void TopicGroup::need_turn() {
  turn_.arm([](void* group) { static_cast<TopicGroup*>(group)->wake(); }, this);
}

void TopicGroup::catch_up() {
  if (!catch_up_) catch_up_ = std::make_unique<CatchUp>(*this);
  catch_up_->need();
}

}  // namespace pronghorn::worker
