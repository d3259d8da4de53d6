// How much more memory our control groups allow.
#pragma once

#include <cstdint>
#include <optional>

#include "supervisor/system/memory_cgroups.h"

namespace pronghorn::supervisor {

// Bytes below the tightest limit of our group and its ancestors. Inactive page cache counts as free. Absent: no limit.
[[nodiscard]] std::optional<std::uint64_t> memory_headroom(const MemoryCgroups& groups);

}  // namespace pronghorn::supervisor
