// How much more memory our control groups let us use.
#pragma once

#include <cstdint>
#include <optional>

#include "supervisor/system/memory_cgroups.h"

namespace pronghorn::supervisor {

// Bytes, by the tightest limit of our group and those above it; files that the kernel keeps in memory and does not use
// count as free. Absent: there is no limit.
[[nodiscard]] std::optional<std::uint64_t> memory_headroom(const MemoryCgroups& groups);

}  // namespace pronghorn::supervisor
