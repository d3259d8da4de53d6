// The environment variables of the program: PRONGHORN_<OPTION>, PRONGHORN_CONFIG, and PRONGHORN_APP_<KEY> for the
// settings of the application.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/options/values/machine.h"

namespace pronghorn::server {

inline constexpr const char* kConfigVariable = "PRONGHORN_CONFIG";

// The variable's value; empty if it is not set.
[[nodiscard]] std::string lookup(const Environment& environment, std::string_view name);

// Whether it is one of the variables that Kubernetes sets in every pod for a Service called "pronghorn" or
// "pronghorn-...", such as PRONGHORN_PORT=tcp://10.0.0.7:80 and PRONGHORN_SERVICE_HOST. They are ignored.
[[nodiscard]] bool is_service_link(std::string_view name, std::string_view value);

// Throws UsageError for a PRONGHORN_ variable that is none of ours: it is mistyped.
void refuse_unknown_variables(const Environment& environment);

// A setting of the application: PRONGHORN_APP_GREETING=Hello is the key "greeting" of [app].
struct AppVariable {
  std::string name;
  std::string key;
  std::string value;
};
[[nodiscard]] std::vector<AppVariable> app_variables(const Environment& environment);

}  // namespace pronghorn::server
