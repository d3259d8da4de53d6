#include "supervisor/covers/cover_plan.h"

#include <set>

namespace pronghorn::supervisor {

std::vector<CoverPlan::Change> CoverPlan::update(const std::vector<Slot>& slots) {
  std::vector<Change> changes;
  std::map<int, std::size_t> load;  // workers that can cover, and how many slots each covers
  std::set<int> unable;
  for (const Slot& slot : slots) {
    if (slot.ready_pid == 0) continue;
    if (slot.unable) {
      unable.insert(slot.ready_pid);
    } else {
      load[slot.ready_pid] = 0;
    }
  }
  for (auto each = covered_by_.begin(); each != covered_by_.end();) {
    const auto worker = load.find(each->second);
    bool needed = false;
    for (const Slot& slot : slots) needed = needed || (slot.slot == each->first && slot.needs_cover);
    if (worker != load.end() && needed) {
      ++worker->second;
      ++each;
      continue;
    }
    // A blocked worker reads the message when its loop turns again.
    if (worker != load.end() || unable.contains(each->second)) changes.push_back({each->second, each->first, false});
    each = covered_by_.erase(each);
  }
  if (load.empty()) return changes;
  for (const Slot& slot : slots) {
    if (!slot.needs_cover || covered_by_.contains(slot.slot)) continue;
    auto least = load.begin();
    for (auto each = load.begin(); each != load.end(); ++each) {
      if (each->second < least->second) least = each;
    }
    ++least->second;
    covered_by_[slot.slot] = least->first;
    changes.push_back({least->first, slot.slot, true});
  }
  return changes;
}

}  // namespace pronghorn::supervisor
