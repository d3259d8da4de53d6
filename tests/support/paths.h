// Where this build is, for tests that run or read what it made.
#pragma once

#include <string>

namespace pronghorn::test {

// Both without a slash at the end: build_path("/pronghorn") is the program.
[[nodiscard]] std::string build_path(const std::string& below);
[[nodiscard]] std::string source_path(const std::string& below);

}  // namespace pronghorn::test
