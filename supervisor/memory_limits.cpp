#include "supervisor/memory_limits.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <string_view>

namespace pronghorn::supervisor {
namespace {

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;  // "max" too
  return number;
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The number behind a name in a file of lines "name number".
std::optional<std::uint64_t> entry(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::string_view text(line);
    if (text.starts_with(name) && text.size() > name.size() && text[name.size()] == ' ') {
      return number_in(text.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

}  // namespace

MemoryLimits::MemoryLimits(std::string root, const std::string& own_groups, std::string vmstat)
    : root_(std::move(root)), vmstat_(std::move(vmstat)) {
  std::ifstream file(own_groups);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::/")) own_ = line.substr(3);  // cgroup v2, see cgroups(7)
  }
  while (own_.ends_with('/')) own_.pop_back();
}

MemoryState MemoryLimits::read() const {
  MemoryState state;
  // A limit of any group above holds for us too. The root of the machine has no such file; that of a container has.
  for (std::string group = own_;; group.resize(group.rfind('/'))) {
    const std::string path = root_ + group;
    const auto limit = number_in(first_line(path + "/memory.max"));
    if (limit && (!state.limit_bytes || *limit < *state.limit_bytes)) {
      state.cgroup = path;
      state.limit_bytes = limit;
      state.current_bytes = number_in(first_line(path + "/memory.current"));
    }
    if (group.empty()) break;
  }
  state.oom_kills = entry(root_ + own_ + "/memory.events", "oom_kill");
  if (!state.oom_kills) {
    state.oom_kills = entry(vmstat_, "oom_kill");
    state.whole_machine = true;
  }
  return state;
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
