#include "support/paths.h"

#include <cstdlib>

namespace pronghorn::test {

std::string build_path(const std::string& below) {
  const char* const tested = std::getenv("TESTED_BUILD_DIR");
  return (tested != nullptr ? tested : PRONGHORN_BUILD_DIR) + below;
}

std::string source_path(const std::string& below) { return PRONGHORN_SOURCE_DIR + below; }

bool is_sanitized() {
  const char* const tested = std::getenv("TESTED_IS_SANITIZED");
  return tested != nullptr ? *tested == '1' : PRONGHORN_IS_SANITIZED;
}

}  // namespace pronghorn::test
