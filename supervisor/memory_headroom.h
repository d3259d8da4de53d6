// How much more memory this process' cgroup may use.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace pronghorn::supervisor {

// Bytes, by the tightest memory.max of our cgroup (version 2) and those above it; files that the kernel keeps in memory
// and does not use (inactive_file) count as free. Absent: there is no limit, or no cgroup of version 2. Reads below
// `root` ("/" but for tests).
[[nodiscard]] std::optional<std::uint64_t> memory_headroom(const std::filesystem::path& root);

}  // namespace pronghorn::supervisor
