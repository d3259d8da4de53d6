// Paths in the build and source trees.
#pragma once

#include <string>

namespace pronghorn::test {

// Append `below` to the root of the tree: build_path("/pronghorn") is the program.
[[nodiscard]] std::string build_path(const std::string& below);
[[nodiscard]] std::string source_path(const std::string& below);

}  // namespace pronghorn::test
