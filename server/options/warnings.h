// Warnings about configurations that work, but probably not as their author expects.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/options/load_configuration.h"

namespace pronghorn::server {

// What the kernel allows. 0: unknown.
struct KernelLimits {
  std::uint64_t somaxconn = 0;    // longest accept queue
  std::uint64_t descriptors = 0;  // that a process may have, after raising the soft limit to the hard one
};
[[nodiscard]] KernelLimits kernel_limits();

// One line each: what will happen, why, and what to do.
[[nodiscard]] std::vector<std::string> warnings_of(const Effective& effective, const KernelLimits& limits);

// A warning if this process cannot read the configuration file again, as a reload does; else empty. An empty `file` is
// none.
[[nodiscard]] std::string reload_warning(const std::string& file);

// The value of a setting of the application, as it may be printed: "***" if its key names a secret, and without the
// password of a URL ("postgres://shop:***@db/orders").
[[nodiscard]] std::string shown_setting(std::string_view key, std::string_view value);

}  // namespace pronghorn::server
