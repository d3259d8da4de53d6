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

// Of a line "name number".
std::optional<std::uint64_t> number_after(std::string_view name, std::string_view line) {
  if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') return std::nullopt;
  return number_in(line.substr(name.size() + 1));
}

bool has_memory(std::string_view controllers) {
  return ("," + std::string(controllers) + ",").find(",memory,") != std::string::npos;
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

std::vector<MemoryGroup> MemoryCgroups::limited() const {
  std::vector<MemoryGroup> groups;
  const auto add = [this, &groups](const fs::path& path) {
    const auto limit = number_of(path / (version_1_ ? "memory.limit_in_bytes" : "memory.max"));
    if (!limit || (version_1_ && *limit >= kNoLimit)) return;
    groups.push_back({path, *limit, number_of(path / (version_1_ ? "memory.usage_in_bytes" : "memory.current"))});
  };
  for (fs::path inside = own_; !inside.empty(); inside = inside.parent_path()) add(mount_ / inside);
  add(mount_);
  return groups;
}

// In version 1 the names without "total_" leave out the group's children.
PageCache MemoryCgroups::page_cache(const MemoryGroup& group) const {
  const std::string_view prefix = version_1_ ? "total_" : "";
  PageCache cache;
  std::ifstream file(group.path / "memory.stat");
  for (std::string line; std::getline(file, line);) {
    std::string_view text(line);
    if (!text.starts_with(prefix)) continue;
    text.remove_prefix(prefix.size());
    if (const auto bytes = number_after("inactive_file", text)) cache.inactive = *bytes;
    if (const auto bytes = number_after("active_file", text)) cache.active = *bytes;
  }
  return cache;
}

std::optional<std::uint64_t> MemoryCgroups::oom_kills() const {
  std::ifstream file(mount_ / own_ / (version_1_ ? "memory.oom_control" : "memory.events"));
  for (std::string line; std::getline(file, line);) {
    if (const auto kills = number_after("oom_kill", line)) return kills;
  }
  return std::nullopt;
}

}  // namespace pronghorn::supervisor
