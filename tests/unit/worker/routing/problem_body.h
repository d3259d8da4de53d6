// What the server says about an error.
#pragma once

#include <nlohmann/json.hpp>

#include "pronghorn/json.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

namespace pronghorn {

// The body of problem details (RFC 9457). Checks that the response says that it is one.
inline nlohmann::json problem_body(const TestResponse& response) {
  CHECK(response.header("content-type") == "application/problem+json");
  return nlohmann::json::parse(response.body);
}

}  // namespace pronghorn
