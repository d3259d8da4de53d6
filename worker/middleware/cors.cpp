// Implements pronghorn::cors() of pronghorn/middleware.h.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/middleware.h"
#include "worker/fields/characters.h"
#include "worker/fields/host.h"
#include "worker/middleware/vary.h"

namespace pronghorn {

namespace {

bool is_any(const std::vector<std::string>& list) { return list.size() == 1 && list.front() == "*"; }

std::string join(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined.append(joined.empty() ? "" : ", ").append(name);
  return joined;
}

void check_names(const std::vector<std::string>& names, std::string_view what) {
  for (const std::string& name : names) {
    if (!worker::is_token(name)) throw std::invalid_argument(fmt::format("cors: \"{}\" is not a valid {}", name, what));
  }
}

class Cors {
 public:
  explicit Cors(const CorsOptions& options)
      : origins_(options.origins),
        any_origin_(is_any(options.origins)),
        credentials_(options.credentials),
        methods_(join(options.methods)),
        headers_(join(options.headers)),
        exposed_headers_(join(options.exposed_headers)),
        max_age_(std::to_string(options.max_age.count())) {
    check(options);
  }

  void operator()(Request& request, Response& response) const {
    if (!any_origin_) worker::add_vary(response, "Origin");
    const auto origin = request.header("origin");
    // A cache may give a page what it has stored for a request without Origin, so "*" is in every response.
    if (!any_origin_ && !(origin && allows(*origin))) return;
    if (response.header("Access-Control-Allow-Origin")) return;  // set by the handler or an inner group
    response.append("Access-Control-Allow-Origin", any_origin_ ? "*" : *origin);
    if (credentials_) response.append("Access-Control-Allow-Credentials", "true");
    if (request.method() == "OPTIONS" && request.header("access-control-request-method")) {
      answer_preflight(response);
    } else if (!exposed_headers_.empty()) {
      response.append("Access-Control-Expose-Headers", exposed_headers_);
    }
  }

 private:
  static void check(const CorsOptions& options) {
    if (options.origins.empty()) throw std::invalid_argument("cors: origins is empty; name some, or \"*\"");
    for (const std::string& origin : options.origins) {
      if (is_any(options.origins) || worker::is_sent_origin(origin)) continue;
      throw std::invalid_argument(
          fmt::format("cors: \"{}\" is not an origin as browsers send it; write it like \"https://shop.example\", in "
                      "lower case, without a path and without the port that its scheme has anyway, or use \"*\" alone",
                      origin));
    }
    check_names(options.methods, "method");
    check_names(options.headers, "field name");
    check_names(options.exposed_headers, "field name");
    if (options.max_age.count() < 0) throw std::invalid_argument("cors: max_age is negative");
    // With credentials browsers take "*" literally, and echoing every origin would let any site act for the user.
    if (options.credentials && (is_any(options.origins) || is_any(options.methods) || is_any(options.headers) ||
                                is_any(options.exposed_headers))) {
      throw std::invalid_argument("cors: \"*\" cannot be combined with credentials; list what is allowed");
    }
  }

  [[nodiscard]] bool allows(std::string_view origin) const noexcept {
    return std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
  }

  void answer_preflight(Response& response) const {
    // The server lists the methods of the path in every answer to OPTIONS.
    const std::string methods = methods_.empty() ? std::string(response.header("Allow").value_or("")) : methods_;
    if (!methods.empty()) response.append("Access-Control-Allow-Methods", methods);
    if (!headers_.empty()) response.append("Access-Control-Allow-Headers", headers_);
    response.append("Access-Control-Max-Age", max_age_);
  }

  std::vector<std::string> origins_;
  bool any_origin_;
  bool credentials_;
  std::string methods_;
  std::string headers_;
  std::string exposed_headers_;
  std::string max_age_;  // seconds
};

}  // namespace

Middleware cors(const CorsOptions& options) { return Middleware::After(Cors(options)); }

}  // namespace pronghorn
