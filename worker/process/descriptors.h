// How many file descriptors this process has open, and may have.
#pragma once

#include <cstdint>

namespace pronghorn::worker {

// Costs one system call since Linux 6.2; before, one per thousand descriptors or so.
[[nodiscard]] std::uint64_t open_descriptors() noexcept;
[[nodiscard]] std::uint64_t descriptor_limit() noexcept;

}  // namespace pronghorn::worker
