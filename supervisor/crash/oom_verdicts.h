// Distinguishes a SIGKILL by the kernel's out-of-memory killer from one that a process sent.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>

namespace pronghorn::supervisor {

struct MemoryState {
  std::string cgroup;  // directory of the control group with the lowest limit; empty: no group has a limit
  std::optional<std::uint64_t> current_bytes;
  std::optional<std::uint64_t> limit_bytes;
  // Out-of-memory kills since boot: in our control group and its children, otherwise on the whole machine.
  std::optional<std::uint64_t> oom_kills;
  bool whole_machine = false;  // oom_kills is that of the machine
};

// Reads the memory controller (cgroup version 2 or 1) and /proc/vmstat below `root`; tests pass another root than "/".
[[nodiscard]] MemoryState read_memory_state(const std::filesystem::path& root = "/");

// MemoryState::oom_kills alone.
[[nodiscard]] std::optional<std::uint64_t> read_oom_kills(const std::filesystem::path& root = "/");

// Matches exits by SIGKILL with the kernel's count of out-of-memory kills. Each kill explains one exit.
// No I/O; times are monotonic milliseconds.
class OomVerdicts {
 public:
  // Records the current count. Call once a second, and before explains().
  void sample(std::uint64_t now, std::optional<std::uint64_t> oom_kills);
  // Whether the kernel killed a process that ended by a SIGKILL which we did not send.
  [[nodiscard]] bool explains();
  // The count before the last five seconds.
  [[nodiscard]] std::uint64_t baseline() const noexcept { return samples_.empty() ? 0 : samples_.front().kills; }

 private:
  // The kernel counts a kill before it frees the process' memory. Freeing a large process takes seconds, and only then
  // can it be reaped.
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
