// Facts that defaults depend on: about the machine, and about how the program was started.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/config/config.h"

namespace pronghorn::server {

using Environment = std::map<std::string, std::string>;

struct Machine {
  Environment environment;
  unsigned uid = 0;
  bool on_terminal = false;  // standard input or standard error is one
  std::uint32_t cores = 1;   // that this process may use
};

// The machine that this process runs on.
[[nodiscard]] Machine this_machine();

// The number of workers for "auto": the cores of the affinity mask, or the CPU quota rounded up if that is less; at
// least 1, at most kMaxWorkers.
[[nodiscard]] std::uint32_t usable_cores(unsigned affinity, std::optional<double> quota);

// The quota in cores, from cgroup v2's cpu.max ("150000 100000"); nullopt if there is no limit or the text is invalid.
[[nodiscard]] std::optional<double> cgroup2_quota(std::string_view cpu_max);
// The same from cgroup v1's cpu.cfs_quota_us and cpu.cfs_period_us.
[[nodiscard]] std::optional<double> cgroup1_quota(std::string_view quota_us, std::string_view period_us);
// The smallest quota of this process' cgroup and its ancestors. Reads files below `root` ("/" except in tests).
[[nodiscard]] std::optional<double> cgroup_quota(const std::filesystem::path& root);

// $XDG_RUNTIME_DIR/pronghorn, else /run/pronghorn for root, else /tmp/pronghorn-UID.
[[nodiscard]] std::string default_runtime_dir(const Machine& machine);
// $STATE_DIRECTORY (systemd), else /var/lib/pronghorn for root, else $XDG_STATE_HOME/pronghorn or
// ~/.local/state/pronghorn, else "data" in the runtime directory if HOME is not set.
[[nodiscard]] std::string default_data_dir(const Machine& machine);
// 5 s under systemd or Kubernetes, where load balancers must notice that the server stops; else, or on a terminal, 0.
[[nodiscard]] Milliseconds default_drain_delay(const Machine& machine);

}  // namespace pronghorn::server
