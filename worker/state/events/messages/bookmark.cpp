#include "worker/state/events/messages/bookmark.h"

#include <optional>

#include "worker/state/events/messages/history.h"

namespace pronghorn::worker {

std::string_view to_text(Gap gap) noexcept {
  switch (gap) {
    case Gap::interrupted:
      return "interrupted";
    case Gap::lost:
      return "lost";
    case Gap::expired:
      return "expired";
    case Gap::slow:
      return "slow";
    case Gap::none:
      break;
  }
  return {};
}

Bookmark::Bookmark(std::string_view after) noexcept {
  if (after.empty()) return;
  if (const auto position = parse_position(after)) {
    kind_ = Kind::seen;
    position_ = *position;
  } else if (const auto offset = parse_offset(after)) {
    kind_ = Kind::offset;
    position_.offset = *offset;
  } else {
    kind_ = Kind::unknown;
  }
}

Bookmark::Start Bookmark::begin(const Position& topic) noexcept {
  switch (kind_) {
    case Kind::next:
      position_ = topic;
      break;
    case Kind::unknown:
      position_ = topic;
      if (topic) return {.gap = Gap::lost};
      break;
    case Kind::seen:
      if (!topic) {
        const bool had_history(position_);
        position_ = topic;
        return {.gap = had_history ? Gap::lost : Gap::interrupted};
      }
      if (!position_) position_ = {topic.epoch, 0};
      return {.behind = position_ != topic};
    case Kind::offset:
      position_.epoch = topic.epoch;
      if (topic) return {.behind = position_ != topic};
      if (position_.offset == 0) break;
      position_.offset = 0;
      return {.gap = Gap::lost};
  }
  return {};
}

Gap Bookmark::turn_to(const HistoryPage& page) noexcept {
  const Position& last = page.last;
  const std::uint64_t first = page.first_offset();
  if (last.epoch == position_.epoch && kind_ == Kind::offset) {
    // An offset that the epoch does not have yet is one of an epoch before.
    if (last.offset < position_.offset) {
      position_.offset = 0;
      return Gap::lost;
    }
    if (position_.offset == 0) {  // asked for what is kept, however much that is
      position_.offset = first - 1;
      return Gap::none;
    }
  }
  if (last.epoch != position_.epoch || last.offset < position_.offset) {
    position_ = {last.epoch, first - 1};
    return Gap::lost;
  }
  if (first <= position_.offset + 1) return Gap::none;
  position_.offset = first - 1;
  return Gap::expired;
}

}  // namespace pronghorn::worker
