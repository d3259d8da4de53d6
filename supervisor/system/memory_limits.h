// Whether the kernel kills for want of memory: what tells such an end from a SIGKILL that somebody sent.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>

#include "supervisor/system/memory_cgroups.h"

namespace pronghorn::supervisor {

struct MemoryState {
  std::string cgroup;  // the directory whose limit is the narrowest; empty: none has one
  std::optional<std::uint64_t> current_bytes;
  std::optional<std::uint64_t> limit_bytes;
  // Processes killed for want of memory, ever: of our control group and those in it, else of the machine.
  std::optional<std::uint64_t> oom_kills;
  bool whole_machine = false;
};

// Context: supervisor, main thread.
class MemoryLimits {
 public:
  // Reads below `root`: "/" but for tests.
  explicit MemoryLimits(const std::filesystem::path& root = "/") : groups_(root), vmstat_(root / "proc/vmstat") {}

  [[nodiscard]] MemoryState read() const;

 private:
  MemoryCgroups groups_;
  std::filesystem::path vmstat_;
};

// Which exits the kernel's kills explain. Each kill explains one. Without I/O; times are monotonic milliseconds.
class OomVerdicts {
 public:
  // Once a second, and before explains().
  void sample(std::uint64_t now, std::optional<std::uint64_t> oom_kills);
  // A process was ended by SIGKILL, and not by us: whether it was the kernel.
  [[nodiscard]] bool explains();
  // Before the kills of the last seconds.
  [[nodiscard]] std::uint64_t baseline() const noexcept { return samples_.empty() ? 0 : samples_.front().kills; }

 private:
  // A large process is not reaped until its memory has been freed, long after the kernel has counted it.
  static constexpr std::uint64_t kWindowMs = 5'000;
  struct Sample {
    std::uint64_t at;
    std::uint64_t kills;
  };
  std::deque<Sample> samples_;
};

// "killed by the kernel: the cgroup's memory limit (256 MiB) was reached".
[[nodiscard]] std::string describe_oom(const MemoryState& state);

}  // namespace pronghorn::supervisor
