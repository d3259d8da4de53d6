// JSON bodies on nlohmann-json. Separate, so that applications without JSON do not pay its compile time.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "pronghorn/error.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"

namespace pronghorn {

// A response from a value: json({{"id", 7}, {"tags", {"a", "b"}}}). Text that is not UTF-8 is sent with replacement
// characters.
[[nodiscard]] inline Response json(const nlohmann::json& value, int status = 200) {
  return json_text(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), status);
}

// The request's body as JSON, whatever its content type. Malformed, nested deeper than 128, or with a number that no
// double holds: answered 400.
[[nodiscard]] inline Task<nlohmann::json> json_body(Request& request) {
  constexpr int kMaxDepth = 128;
  request.refuse_content_coding();
  const std::string_view body = co_await request.body();
  const auto limit_depth = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kMaxDepth) throw bad_request("the JSON body is nested too deeply");
    return true;
  };
  try {
    co_return nlohmann::json::parse(body, limit_depth);
  } catch (const nlohmann::json::parse_error& error) {
    throw bad_request("the body is not JSON: position " + std::to_string(error.byte));
  } catch (const nlohmann::json::out_of_range&) {
    throw bad_request("the JSON body has a number that is out of range");
  }
}

}  // namespace pronghorn
