#include "supervisor/memory_headroom.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>

namespace pronghorn::supervisor {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// "max", and a file that is not there, are no number.
std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || (end != text.data() + text.size() && *end != '\n')) return std::nullopt;
  return value;
}

std::uint64_t idle_files(const fs::path& group) {
  std::istringstream lines(contents(group / "memory.stat"));
  for (std::string line; std::getline(lines, line);) {
    constexpr std::string_view kName = "inactive_file ";
    if (line.starts_with(kName)) return number(std::string_view(line).substr(kName.size())).value_or(0);
  }
  return 0;
}

std::optional<std::uint64_t> headroom_of(const fs::path& group) {
  const auto limit = number(contents(group / "memory.max"));
  const auto used = number(contents(group / "memory.current"));
  if (!limit || !used) return std::nullopt;
  const std::uint64_t needed = *used - std::min(*used, idle_files(group));
  return *limit - std::min(*limit, needed);
}

fs::path own_group(const fs::path& root) {
  std::istringstream lines(contents(root / "proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) return fs::path(line.substr(4));
  }
  return {};
}

}  // namespace

// In a container the path may name a folder of the host that is not there; the mount's own root is then the
// container's.
std::optional<std::uint64_t> memory_headroom(const fs::path& root) {
  const fs::path mount = root / "sys/fs/cgroup";
  std::optional<std::uint64_t> least = headroom_of(mount);
  for (fs::path inside = own_group(root); !inside.empty(); inside = inside.parent_path()) {
    const auto here = headroom_of(mount / inside);
    if (here && (!least || *here < *least)) least = here;
  }
  return least;
}

}  // namespace pronghorn::supervisor
