#include "support/paths.h"

namespace pronghorn::test {

std::string build_path(const std::string& below) { return PRONGHORN_BUILD_DIR + below; }

std::string source_path(const std::string& below) { return PRONGHORN_SOURCE_DIR + below; }

}  // namespace pronghorn::test
