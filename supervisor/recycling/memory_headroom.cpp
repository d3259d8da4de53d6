#include "supervisor/recycling/memory_headroom.h"

#include <algorithm>

namespace pronghorn::supervisor {

std::optional<MemoryRoom> memory_room(const MemoryCgroups& groups) {
  std::optional<MemoryRoom> least;
  for (const MemoryGroup& group : groups.limited()) {
    if (!group.used) continue;
    const PageCache cache = groups.page_cache(group);
    const std::uint64_t free = cache.inactive + cache.active / 2;
    const std::uint64_t needed = *group.used - std::min(*group.used, free);
    const std::uint64_t here = group.limit - std::min(group.limit, needed);
    if (!least || here < least->headroom) least = MemoryRoom{group.limit, here, group.path};
  }
  return least;
}

}  // namespace pronghorn::supervisor
