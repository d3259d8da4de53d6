// The memory controller of the control groups that this process is in: cgroups(7), version 2 or 1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace pronghorn::supervisor {

// What could not be read is absent.
struct MemoryGroup {
  std::filesystem::path path;
  std::optional<std::uint64_t> limit;      // bytes; absent: none
  std::optional<std::uint64_t> used;       // bytes
  std::uint64_t idle_files = 0;            // of these, files that the kernel keeps and does not use
  std::optional<std::uint64_t> oom_kills;  // processes killed for want of memory, ever
};

class MemoryCgroups {
 public:
  // Reads below `root`: "/" but for tests.
  explicit MemoryCgroups(const std::filesystem::path& root = "/");

  // Our own group first, then those above it: a limit of any of them holds for us too. In a container the path that
  // the kernel names may not be there; the mount's own root, the last, is then the container's.
  [[nodiscard]] std::vector<MemoryGroup> read() const;

 private:
  std::filesystem::path mount_;
  std::filesystem::path own_;  // below mount_; empty: that is it
  bool version_1_ = false;
};

}  // namespace pronghorn::supervisor
