#include "supervisor/recycling/memory_headroom.h"

#include <algorithm>

namespace pronghorn::supervisor {

std::optional<std::uint64_t> memory_headroom(const MemoryCgroups& groups) {
  std::optional<std::uint64_t> least;
  for (const MemoryGroup& group : groups.read()) {
    if (!group.limit || !group.used) continue;
    const std::uint64_t needed = *group.used - std::min(*group.used, group.idle_files);
    const std::uint64_t here = *group.limit - std::min(*group.limit, needed);
    least = std::min(least.value_or(here), here);
  }
  return least;
}

}  // namespace pronghorn::supervisor
