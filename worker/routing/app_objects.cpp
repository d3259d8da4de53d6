#include "worker/routing/app_objects.h"

namespace pronghorn::worker {

Task<void> AppObjects::make(const std::vector<detail::StateEntry>& entries, pronghorn::Worker& worker) {
  objects_.reserve(entries.size());
  for (const detail::StateEntry& entry : entries) {
    void* const object = co_await entry.make(worker);
    objects_.push_back({entry.type, object, entry.destroy});
  }
}

void* AppObjects::find(const std::type_info& type) const noexcept {
  for (const Object& object : objects_) {
    if (*object.type == type) return object.object;
  }
  return nullptr;
}

void AppObjects::clear() noexcept {
  while (!objects_.empty()) {
    const Object last = objects_.back();
    objects_.pop_back();  // first: its destructor may look for others, and must not find itself
    last.destroy(last.object);
  }
}

}  // namespace pronghorn::worker
