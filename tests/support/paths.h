// The build that is tested, and the source tree. The integration tests of one build can test another: then
// TESTED_BUILD_DIR and TESTED_IS_SANITIZED in the environment say which.
#pragma once

#include <string>

namespace pronghorn::test {

// Append `below` to the root of the tree: build_path("/pronghorn") is the program.
[[nodiscard]] std::string build_path(const std::string& below);
[[nodiscard]] std::string source_path(const std::string& below);

// Whether it is instrumented by sanitizers, and so takes several times as long.
[[nodiscard]] bool is_sanitized();

}  // namespace pronghorn::test
