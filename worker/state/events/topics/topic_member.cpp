#include "worker/state/events/topics/topic_member.h"

#include <utility>

#include "worker/state/events/topics/topic.h"
#include "worker/state/events/topics/topic_group.h"
#include "worker/state/events/topics/topic_table.h"

namespace pronghorn::worker {

void TopicMember::join(TopicTable& table, std::string_view topic, const Bookmark& begins) {
  bookmark_ = begins;
  ahead_ = false;
  table.open(topic).group().join(*this);
}

void TopicMember::leave() noexcept {
  if (TopicGroup* group = std::exchange(group_, nullptr)) group->leave(*this);
}

const std::string& TopicMember::topic() const noexcept { return group_->topic_name(); }

std::optional<Position> TopicMember::position() const noexcept {
  return group_ == nullptr ? std::nullopt : group_->position_of(*this);
}

void TopicMember::resume() noexcept {
  if (group_ != nullptr && place_ == Place::paused) group_->resume(*this);
}

}  // namespace pronghorn::worker
