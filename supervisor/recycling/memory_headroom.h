// How much more memory our control groups allow.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "supervisor/system/memory_cgroups.h"

namespace pronghorn::supervisor {

struct MemoryRoom {
  std::uint64_t limit = 0;     // bytes
  std::uint64_t headroom = 0;  // bytes below the limit
  std::filesystem::path group = {};
};

// Of our group and its ancestors, the one with the least headroom. Inactive page cache counts as free, and so does half
// of the active one: the kernel frees it before it kills. Absent: no limit.
[[nodiscard]] std::optional<MemoryRoom> memory_room(const MemoryCgroups& groups);

}  // namespace pronghorn::supervisor
