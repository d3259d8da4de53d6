#include "worker/state/events/topics/topic_table.h"

namespace pronghorn::worker {

Topic& TopicTable::open(std::string_view name) {
  require_topic(name);
  auto found = topics_.find(name);
  if (found == topics_.end()) {
    found = topics_.emplace(std::string(name), std::make_unique<Topic>(*this, name)).first;
  }
  return *found->second;
}

void TopicTable::remove(Topic& topic) noexcept { topics_.erase(topics_.find(topic.name())); }

}  // namespace pronghorn::worker
