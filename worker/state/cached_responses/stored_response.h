// A response as it is stored in the cache: as the value of an entry. No I/O.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/response.h"

namespace pronghorn::worker {

// What the cache knows about a resource.
struct StoredResponse {
  enum class Kind : char {
    response = 'R',
    varies = 'V',  // `vary` names the fields; each variant has an entry of its own
    pass = 'P',    // its responses may not be stored: requests need not wait for each other
  };
  Kind kind = Kind::pass;
  std::chrono::seconds initial_age{0};  // its Age when it was stored
  int status = 0;
  std::vector<std::string> vary = {};  // lower-case names, sorted
  std::string content_type = {};
  std::string fields = {};  // "Name: value\r\n" each
  std::string body = {};
};

[[nodiscard]] std::string encode(const StoredResponse& stored);
// nullopt if `bytes`, which come from Redis, are none.
[[nodiscard]] std::optional<StoredResponse> decode_response(std::string_view bytes);

// The response to send; nullopt if `stored` has an invalid field.
[[nodiscard]] std::optional<Response> to_response(StoredResponse stored);

}  // namespace pronghorn::worker
