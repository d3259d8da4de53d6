#include "supervisor/recycling/memory_headroom.h"

#include <algorithm>

namespace pronghorn::supervisor {

std::optional<MemoryRoom> memory_room(const MemoryCgroups& groups) {
  std::optional<MemoryRoom> least;
  for (const MemoryGroup& group : groups.read()) {
    if (!group.limit || !group.used) continue;
    const std::uint64_t free = group.idle_files + group.active_files / 2;
    const std::uint64_t needed = *group.used - std::min(*group.used, free);
    const std::uint64_t here = *group.limit - std::min(*group.limit, needed);
    if (!least || here < least->headroom) least = MemoryRoom{*group.limit, here, group.path};
  }
  return least;
}

}  // namespace pronghorn::supervisor
