// The cookies of a TestClient: kept and sent as a browser would (RFC 6265bis), for one host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

class CookieJar {
 public:
  // Takes one Set-Cookie field in. `request_path` gives the default path. Domain, Secure, SameSite and Expires are not
  // looked at; Max-Age of zero or less removes the cookie.
  void store(std::string_view set_cookie, std::string_view request_path);
  // The Cookie field for a request; empty when there is nothing to send.
  [[nodiscard]] std::string field_for(std::string_view request_path) const;
  void clear() noexcept { cookies_.clear(); }

 private:
  struct Cookie {
    std::string name;
    std::string value;
    std::string path;
  };
  std::vector<Cookie> cookies_;  // those of longer paths first, then the older ones (RFC 6265 section 5.4)
};

}  // namespace pronghorn::worker
