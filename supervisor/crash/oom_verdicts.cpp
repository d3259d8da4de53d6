#include "supervisor/crash/oom_verdicts.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <string_view>

#include "supervisor/system/memory_cgroups.h"

namespace pronghorn::supervisor {
namespace {

std::optional<std::uint64_t> kills_of_machine(const std::filesystem::path& vmstat) {
  constexpr std::string_view kName = "oom_kill ";
  std::ifstream file(vmstat);
  for (std::string line; std::getline(file, line);) {
    std::uint64_t number = 0;
    const std::string_view text(line);
    if (!text.starts_with(kName)) continue;
    const auto [end, error] = std::from_chars(text.data() + kName.size(), text.data() + text.size(), number);
    if (error == std::errc()) return number;
  }
  return std::nullopt;
}

struct OomKills {
  std::optional<std::uint64_t> count;
  bool whole_machine = false;
};

OomKills oom_kills_of(const MemoryCgroups& groups, const std::filesystem::path& root) {
  if (const auto kills = groups.oom_kills()) return {kills};
  return {kills_of_machine(root / "proc/vmstat"), true};
}

}  // namespace

MemoryState read_memory_state(const std::filesystem::path& root) {
  MemoryState state;
  const MemoryCgroups groups(root);
  for (const MemoryGroup& group : groups.limited()) {
    if (state.limit_bytes && *state.limit_bytes <= group.limit) continue;
    state.cgroup = group.path;
    state.limit_bytes = group.limit;
    state.current_bytes = group.used;
  }
  const OomKills kills = oom_kills_of(groups, root);
  state.oom_kills = kills.count;
  state.whole_machine = kills.whole_machine;
  return state;
}

std::optional<std::uint64_t> read_oom_kills(const std::filesystem::path& root) {
  return oom_kills_of(MemoryCgroups(root), root).count;
}

void OomVerdicts::sample(std::uint64_t now, std::optional<std::uint64_t> oom_kills) {
  if (!oom_kills) return;
  samples_.push_back({now, *oom_kills});
  while (samples_.size() > 1 && now - samples_.front().at > kWindowMs) samples_.pop_front();
}

bool OomVerdicts::explains() {
  if (samples_.empty() || samples_.back().kills <= samples_.front().kills) return false;
  for (Sample& sample : samples_) {
    if (sample.kills < samples_.back().kills) ++sample.kills;
  }
  return true;
}

std::string describe_oom(const MemoryState& state) {
  constexpr double kMiB = 1024 * 1024;
  if (state.whole_machine) return "killed by the kernel: the machine was out of memory";
  if (!state.limit_bytes) return "killed by the kernel: out of memory";
  return fmt::format("killed by the kernel: the cgroup's memory limit ({:.0f} MiB) was reached",
                     static_cast<double>(*state.limit_bytes) / kMiB);
}

}  // namespace pronghorn::supervisor
