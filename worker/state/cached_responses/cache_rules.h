// The rules of RFC 9111 for a cache in front of a handler. No I/O.
#pragma once

#include <chrono>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/cache.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"

namespace pronghorn::worker {

// What a request allows.
struct RequestRules {
  bool bypass = false;       // the handler answers, and nothing is stored
  bool renew = false;        // no-cache: no stored response is used, but the handler's is stored
  bool only_stored = false;  // 504 if no stored response can be used
  bool authorized = false;   // it has the field Authorization
  bool head = false;
  // Stored responses that are older are not used; nor are those that are fresh for a shorter time. Absent: even one
  // that is past its time is used while it may be.
  std::chrono::milliseconds max_age = std::chrono::milliseconds::max();
  std::optional<std::chrono::milliseconds> least_fresh = {};
};
[[nodiscard]] RequestRules rules_of(const Request& request);

// How a response may be stored (sections 3 and 4.2).
struct Storing {
  std::chrono::milliseconds ttl{0};
  std::chrono::milliseconds stale{0};
  std::chrono::seconds initial_age{0};
  std::vector<std::string> vary = {};  // lower-case, sorted
};
// nullopt if it may not. `personal`: the handler has learnt who the client is. `now` is the time of the response.
[[nodiscard]] std::optional<Storing> storing_of(const Request& request, const Response& response,
                                                const CachedOptions& options, bool personal, std::time_t now);

// The status says that the request had conditions or asked for a part, not what the resource is.
[[nodiscard]] constexpr bool is_partial_answer(int status) noexcept {
  return status == 206 || status == 304 || status == 412 || status == 416;
}

// The values of the request's fields with these names, in one text that is the same for requests that may share a
// response (section 4.1).
[[nodiscard]] std::string variant_of(const Request& request, const std::vector<std::string>& names);

// Whether the client has this response already (If-None-Match, else If-Modified-Since): it gets 304.
[[nodiscard]] bool client_has(const Request& request, const Response& response);
// Makes a 304 of it: without content and the fields that describe it (RFC 9110 section 15.4.5).
[[nodiscard]] Response not_modified(const Response& response);

// A strong entity tag of a body.
[[nodiscard]] std::string make_etag(std::string_view body);

}  // namespace pronghorn::worker
