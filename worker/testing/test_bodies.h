// Bodies of HTML forms, for TestClient.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/testing.h"

namespace pronghorn::worker {

// application/x-www-form-urlencoded: "a=1&b=two+words".
[[nodiscard]] std::string encode_form(const std::vector<std::pair<std::string, std::string>>& fields);

// multipart/form-data (RFC 7578). `boundary` must not occur in the parts.
[[nodiscard]] std::string encode_multipart(const std::vector<TestPart>& parts, std::string_view boundary);

}  // namespace pronghorn::worker
