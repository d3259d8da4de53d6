#include "server/options/values/machine.h"

#include <fmt/format.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "server/options/values/values.h"

extern char** environ;

namespace pronghorn::server {
namespace {

namespace fs = std::filesystem;

Environment read_environment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

std::string variable(const Machine& machine, const char* name) {
  const auto found = machine.environment.find(name);
  return found == machine.environment.end() ? "" : found->second;
}

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<double> number(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> share(std::optional<double> quota, std::optional<double> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;  // v1 says "no limit" with -1
  return *quota / *period;
}

void tighten(std::optional<double>& limit, std::optional<double> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

// Calls `read` for the cgroup `path` below `mount` and for each of its ancestors. In a container, `path` may name a
// folder of the host that does not exist here: the root of the mount is then the container's cgroup.
template <class Read>
void upwards(const fs::path& mount, const fs::path& path, Read read) {
  fs::path inside = path.relative_path();
  while (!inside.empty()) {
    read(mount / inside);
    inside = inside.parent_path();
  }
  read(mount);
}

}  // namespace

Machine this_machine() {
  Machine machine;
  machine.environment = read_environment();
  machine.uid = ::geteuid();
  machine.on_terminal = ::isatty(STDIN_FILENO) == 1 || ::isatty(STDERR_FILENO) == 1;
  machine.cores = usable_cores(uv_available_parallelism(), cgroup_quota("/"));
  return machine;
}

std::uint32_t usable_cores(unsigned affinity, std::optional<double> quota) {
  double cores = affinity;
  if (quota) cores = std::min(cores, std::ceil(*quota));
  return static_cast<std::uint32_t>(std::clamp(cores, 1.0, static_cast<double>(kMaxWorkers)));
}

std::optional<double> cgroup2_quota(std::string_view cpu_max) {
  const auto blank = cpu_max.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  return share(number(cpu_max.substr(0, blank)), number(cpu_max.substr(blank + 1)));  // "max" is not a number
}

std::optional<double> cgroup1_quota(std::string_view quota_us, std::string_view period_us) {
  return share(number(quota_us), number(period_us));
}

std::optional<double> cgroup_quota(const fs::path& root) {
  std::optional<double> limit;
  std::istringstream lines(contents(root / "proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {  // "4:cpu,cpuacct:/path" (v1) or "0::/path" (v2)
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string path = line.substr(second + 1);
    if (controllers.empty()) {
      upwards(root / "sys/fs/cgroup", path,
              [&](const fs::path& group) { tighten(limit, cgroup2_quota(contents(group / "cpu.max"))); });
    } else if ((',' + controllers + ',').find(",cpu,") != std::string::npos) {
      upwards(root / "sys/fs/cgroup/cpu", path, [&](const fs::path& group) {
        tighten(limit, cgroup1_quota(contents(group / "cpu.cfs_quota_us"), contents(group / "cpu.cfs_period_us")));
      });
    }
  }
  return limit;
}

std::string default_runtime_dir(const Machine& machine) {
  if (const std::string dir = variable(machine, "XDG_RUNTIME_DIR"); !dir.empty()) return dir + "/pronghorn";
  return machine.uid == 0 ? "/run/pronghorn" : fmt::format("/tmp/pronghorn-{}", machine.uid);
}

std::string default_data_dir(const Machine& machine) {
  // systemd separates several directories with a colon; the first is ours.
  if (const std::string dir = variable(machine, "STATE_DIRECTORY"); !dir.empty()) return dir.substr(0, dir.find(':'));
  if (machine.uid == 0) return "/var/lib/pronghorn";
  if (const std::string dir = variable(machine, "XDG_STATE_HOME"); !dir.empty()) return dir + "/pronghorn";
  if (const std::string home = variable(machine, "HOME"); !home.empty()) return home + "/.local/state/pronghorn";
  return default_runtime_dir(machine) + "/data";
}

Milliseconds default_drain_delay(const Machine& machine) {
  // systemd sets INVOCATION_ID for every unit, NOTIFY_SOCKET only for some types.
  const bool managed = std::ranges::any_of(std::array{"INVOCATION_ID", "NOTIFY_SOCKET", "KUBERNETES_SERVICE_HOST"},
                                           [&machine](const char* name) { return !variable(machine, name).empty(); });
  return managed && !machine.on_terminal ? Milliseconds(5'000) : Milliseconds(0);
}

}  // namespace pronghorn::server
