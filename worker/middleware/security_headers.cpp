// Implements pronghorn::security_headers() of pronghorn/middleware.h.
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/middleware.h"
#include "worker/fields/characters.h"

namespace pronghorn {

namespace {

class SecurityHeaders {
 public:
  explicit SecurityHeaders(const SecurityHeadersOptions& options) {
    add("X-Content-Type-Options", "nosniff");
    if (options.frame_ancestors == "'none'") add("X-Frame-Options", "DENY");
    if (options.frame_ancestors == "'self'") add("X-Frame-Options", "SAMEORIGIN");
    std::string policy = options.content_security_policy;
    if (!options.frame_ancestors.empty()) {
      policy.append(policy.empty() ? "" : "; ").append("frame-ancestors ").append(options.frame_ancestors);
    }
    add("Content-Security-Policy", policy);
    add("Referrer-Policy", options.referrer_policy);
    add("Cross-Origin-Opener-Policy", options.cross_origin_opener_policy);
    add("Cross-Origin-Resource-Policy", options.cross_origin_resource_policy);
    add("Permissions-Policy", options.permissions_policy);
    if (options.hsts_max_age.count() > 0) {
      hsts_ = "max-age=" + std::to_string(options.hsts_max_age.count());
      if (options.hsts_subdomains) hsts_ += "; includeSubDomains";
    }
  }

  void operator()(Request& request, Response& response) const {
    for (const auto& [name, value] : fields_) {
      if (!response.header(name)) response.append(name, value);
    }
    // Browsers ignore it over http, where an attacker could have added it (RFC 6797 section 7.2).
    if (!hsts_.empty() && request.scheme() == "https" && !response.header(kHsts)) response.append(kHsts, hsts_);
  }

 private:
  static constexpr std::string_view kHsts = "Strict-Transport-Security";

  void add(std::string_view name, std::string value) {
    if (!worker::is_field_value(value)) {
      throw std::invalid_argument("security_headers: the value of " + std::string(name) +
                                  " contains a control character");
    }
    if (!value.empty()) fields_.emplace_back(name, std::move(value));
  }

  std::vector<std::pair<std::string_view, std::string>> fields_;
  std::string hsts_;
};

}  // namespace

Middleware security_headers(const SecurityHeadersOptions& options) {
  return Middleware::After(SecurityHeaders(options));
}

}  // namespace pronghorn
