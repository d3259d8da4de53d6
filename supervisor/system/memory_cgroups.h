// Reads the memory controller of the control groups that this process is in: cgroups(7), version 2 or 1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace pronghorn::supervisor {

// Values that cannot be read are absent.
struct MemoryGroup {
  std::filesystem::path path;
  std::optional<std::uint64_t> limit;      // bytes; absent: no limit
  std::optional<std::uint64_t> used;       // bytes
  std::uint64_t idle_files = 0;            // of these, inactive page cache; 0 without a limit
  std::uint64_t active_files = 0;          // and active page cache; 0 without a limit
  std::optional<std::uint64_t> oom_kills;  // out-of-memory kills since the group was created
};

class MemoryCgroups {
 public:
  // Reads below `root`; tests pass another one than "/".
  explicit MemoryCgroups(const std::filesystem::path& root = "/");

  // Our own group first, then its ancestors, whose limits apply to us too. In a container the path that the kernel
  // names may not exist; the last entry, the root of the mount, is then the container's group.
  [[nodiscard]] std::vector<MemoryGroup> read() const;

 private:
  std::filesystem::path mount_;
  std::filesystem::path own_;  // below mount_; empty: the root
  bool version_1_ = false;
};

}  // namespace pronghorn::supervisor
