// Reads the memory controller of the control groups that this process is in: cgroups(7), version 2 or 1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace pronghorn::supervisor {

struct MemoryGroup {
  std::filesystem::path path;
  std::uint64_t limit = 0;            // bytes
  std::optional<std::uint64_t> used;  // bytes; absent: it cannot be read
};

// Of the memory that a group uses, in bytes.
struct PageCache {
  std::uint64_t inactive = 0;
  std::uint64_t active = 0;
};

// The supervisor reads some of this ten times a second, so each function reads only the files that it needs.
class MemoryCgroups {
 public:
  // Reads below `root`; tests pass another one than "/".
  explicit MemoryCgroups(const std::filesystem::path& root = "/");

  // The groups with a limit: our own first, then its ancestors, whose limits apply to us too. In a container the path
  // that the kernel names may not exist; the last entry, the root of the mount, is then the container's group.
  [[nodiscard]] std::vector<MemoryGroup> limited() const;
  // From memory.stat, the most expensive file. Zero if it cannot be read.
  [[nodiscard]] PageCache page_cache(const MemoryGroup& group) const;
  // Out-of-memory kills in our own group and its children since it was created. Absent: it cannot be read.
  [[nodiscard]] std::optional<std::uint64_t> oom_kills() const;

 private:
  std::filesystem::path mount_;
  std::filesystem::path own_;  // below mount_; empty: the root
  bool version_1_ = false;
};

}  // namespace pronghorn::supervisor
