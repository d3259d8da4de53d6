#include "worker/state/events/topics/catch_up.h"

#include <algorithm>
#include <utility>

#include "worker/state/events/topics/topic.h"
#include "worker/state/events/topics/topic_group.h"
#include "worker/state/events/topics/topic_table.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kCallsPerTurn = 1024;
constexpr std::size_t kMaxRecent = 1024;
constexpr std::size_t kMaxRecentBytes = 4 * 1024 * 1024;

}  // namespace

void CatchUp::need() {
  if (state_ == State::idle) begin_read();
}

// If there are too many, those at the end of the page read again.
void CatchUp::note(const EventPtr& event) {
  if (!recent_is_whole_) return;
  recent_bytes_ += event->payload().size();
  recent_.push_back(event);
  if (recent_.size() <= kMaxRecent && recent_bytes_ <= kMaxRecentBytes) return;
  recent_.clear();
  recent_is_whole_ = false;
}

// ---- reading

void CatchUp::begin_read() {
  const MemberList& behind = group_.list(TopicMember::Place::behind);
  const TopicMember* member = nullptr;
  for (std::size_t i = 0; i < behind.size() && member == nullptr; ++i) member = behind[front_++ % behind.size()];
  state_ = State::idle;
  if (member == nullptr) return;
  state_ = State::reading;
  asked_ = member->bookmark_.position();
  recent_.clear();
  recent_bytes_ = 0;
  recent_is_whole_ = true;
  task_ = read();
  task_.start();
}

Task<void> CatchUp::read() {
  Topic& topic = group_.topic_;
  state_ = State::serving;
  try {
    page_ = co_await read_history(topic.table().client(), topic.keys(), asked_);
  } catch (const RedisUnavailable&) {
    state_ = State::later;
  } catch (const std::exception& error) {
    state_ = State::broken;
    topic.table().tally().broken_history(topic.name(), error.what());
  }
  arm(state_ == State::later ? retry_ : turn_);  // members must not be called by the coroutine, which they may destroy
}

void CatchUp::arm(pronghorn::detail::Timer& timer) {
  timer.arm([](void* catch_up) { static_cast<CatchUp*>(catch_up)->turn(); }, this);
}

// ---- serving

void CatchUp::turn() {
  if (state_ == State::later) return begin_read();
  TopicGroup& group = group_;
  group.begin_calls();
  if (state_ == State::serving) serve();
  if (state_ == State::broken) give_up();
  group.end_calls();  // may destroy this
}

void CatchUp::serve() {
  const MemberList& behind = group_.list(TopicMember::Place::behind);
  for (std::size_t calls = 0; calls < kCallsPerTurn && cursor_ < behind.size(); ++cursor_) {
    const TopicMember* member = behind[cursor_];
    if (member != nullptr && fits(member->bookmark_.position())) calls += serve_member(cursor_);
  }
  if (cursor_ < behind.size()) {
    std::size_t served = 0;  // the indexes are about to change: the holes go
    for (std::size_t i = 0; i < cursor_; ++i) served += behind[i] != nullptr ? 1 : 0;
    cursor_ = served;
    return arm(turn_);
  }
  cursor_ = 0;
  page_ = {};
  if (!std::exchange(stuck_, false)) return begin_read();
  state_ = State::later;
  arm(retry_);
}

// The history cannot be read.
void CatchUp::give_up() {
  const MemberList& behind = group_.list(TopicMember::Place::behind);
  state_ = State::idle;
  for (std::size_t i = 0; i < behind.size(); ++i) {
    TopicMember* member = behind[i];
    if (member == nullptr) continue;
    group_.move(*member, TopicMember::Place::live);
    member->gap(Gap::lost);
  }
}

// Whether the page tells what follows `position`.
bool CatchUp::fits(const Position& position) const noexcept {
  if (position == asked_) return true;
  if (position.epoch != asked_.epoch) return false;
  if (asked_.epoch != page_.last.epoch) return true;  // the epoch has ended
  return position.offset > asked_.offset && position.offset <= page_.last_offset();
}

// Returns how many calls that took.
std::size_t CatchUp::serve_member(std::size_t index) {
  const MemberList& behind = group_.list(TopicMember::Place::behind);
  TopicMember& member = *behind[index];
  Bookmark& bookmark = member.bookmark_;
  std::size_t calls = 1;
  const Gap gap = bookmark.turn_to(page_);
  if (gap != Gap::none) {
    member.gap(gap);
    if (behind[index] == nullptr) return calls;
  }
  const auto is_passed = [&bookmark](const EventPtr& event) { return bookmark.has_passed(event->position()); };
  auto next = std::ranges::partition_point(page_.events, is_passed);
  for (; next != page_.events.end(); ++next, ++calls) {
    if (!give(index, *next)) return calls;
  }
  if (bookmark.position().offset < page_.last.offset) return calls;
  for (const EventPtr& event : recent_) {
    const Position& at = bookmark.position();
    if (event->position() != Position{at.epoch, at.offset + 1}) continue;
    if (!give(index, event)) return calls;
    ++calls;
  }
  const Position& at = bookmark.position();
  const Position& live = group_.position_;
  if (live.epoch == at.epoch && live.offset > at.offset) {
    stuck_ = stuck_ || (calls == 1 && gap == Gap::none && recent_is_whole_);
    return calls;
  }
  member.ahead_ = live != at;
  group_.move(member, TopicMember::Place::live);
  return calls;
}

// False: it gets no more of the page.
bool CatchUp::give(std::size_t index, const EventPtr& event) {
  const MemberList& behind = group_.list(TopicMember::Place::behind);
  TopicMember& member = *behind[index];
  if (!member.wants()) {
    group_.move(member, TopicMember::Place::paused);
    return false;
  }
  member.bookmark_.pass(event->position());
  group_.topic_.table().tally().delivered();
  member.event(event);
  return behind[index] != nullptr;
}

}  // namespace pronghorn::worker
