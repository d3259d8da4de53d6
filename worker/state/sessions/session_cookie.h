// The cookie that names a client's session.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "pronghorn/response.h"
#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

class SessionCookie {
 public:
  explicit SessionCookie(const Config& config);

  // The values of the request's session cookies that have the form of an id, each once; at most 16, because a browser
  // sends one for each path that one was set for.
  [[nodiscard]] std::vector<std::string> ids_of(const Exchange& exchange) const;

  // Adds Set-Cookie; an empty value deletes the cookie.
  void add(Exchange& exchange, Response& response, std::string_view value, std::chrono::seconds max_age) const;

 private:
  std::string name_;
  CookieOptions options_;
};

}  // namespace pronghorn::worker
