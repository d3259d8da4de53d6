#include "supervisor/system/memory_cgroups.h"

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace pronghorn::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNoLimit = 1ULL << 60;  // version 1 reports a huge number when there is no limit

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;  // "max"
  return number;
}

std::optional<std::uint64_t> number_of(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return number_in(line);
}

// The number after `name` in a file of lines "name number".
std::optional<std::uint64_t> entry(const fs::path& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::string_view text(line);
    if (text.starts_with(name) && text.size() > name.size() && text[name.size()] == ' ') {
      return number_in(text.substr(name.size() + 1));
    }
  }
  return std::nullopt;
}

bool has_memory(std::string_view controllers) {
  return ("," + std::string(controllers) + ",").find(",memory,") != std::string::npos;
}

// The page cache of a group without a limit is not needed, and memory.stat is the most expensive file.
void read_files(MemoryGroup& group, std::string_view inactive, std::string_view active) {
  if (!group.limit) return;
  group.idle_files = entry(group.path / "memory.stat", inactive).value_or(0);
  group.active_files = entry(group.path / "memory.stat", active).value_or(0);
}

MemoryGroup group_of_version_2(const fs::path& path) {
  MemoryGroup group{.path = path,
                    .limit = number_of(path / "memory.max"),
                    .used = number_of(path / "memory.current"),
                    .oom_kills = entry(path / "memory.events", "oom_kill")};
  read_files(group, "inactive_file", "active_file");
  return group;
}

MemoryGroup group_of_version_1(const fs::path& path) {
  MemoryGroup group{.path = path,
                    .limit = number_of(path / "memory.limit_in_bytes"),
                    .used = number_of(path / "memory.usage_in_bytes"),
                    .oom_kills = entry(path / "memory.oom_control", "oom_kill")};
  if (group.limit && *group.limit >= kNoLimit) group.limit.reset();
  read_files(group, "total_inactive_file", "total_active_file");
  return group;
}

}  // namespace

// Lines are "number:controllers:path". That of version 2 has the number 0 and no controllers.
MemoryCgroups::MemoryCgroups(const fs::path& root) : mount_(root / "sys/fs/cgroup") {
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos || line.size() < second + 2) continue;
    const bool version_1 = has_memory(std::string_view(line).substr(first + 1, second - first - 1));
    if (!version_1 && (version_1_ || !line.starts_with("0::"))) continue;
    version_1_ = version_1;
    own_ = line.substr(second + 2);  // without its leading slash
  }
  if (version_1_) mount_ /= "memory";
}

std::vector<MemoryGroup> MemoryCgroups::read() const {
  std::vector<MemoryGroup> groups;
  auto* const group_of = version_1_ ? group_of_version_1 : group_of_version_2;
  for (fs::path inside = own_; !inside.empty(); inside = inside.parent_path()) {
    groups.push_back(group_of(mount_ / inside));
  }
  groups.push_back(group_of(mount_));
  return groups;
}

}  // namespace pronghorn::supervisor
