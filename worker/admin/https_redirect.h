// The option redirect_http: sends clients of plain HTTP to https://.
//
// Context: the loop thread of one worker.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

// Answers 308 (RFC 9110 section 15.4.9), for every method: unlike 301 it lets no client turn a POST into a GET.
//
// Passed on to `next` are requests that came over TLS, also to a trusted proxy; those on Unix sockets; and those for
// /.well-known/acme-challenge/, which a certificate authority fetches over plain HTTP (RFC 8555 section 8.3).
class HttpsRedirect final : public RequestHandler {
 public:
  // `port`: of the address that serves https; 443 if another machine ends TLS. `next` must outlive this.
  HttpsRedirect(RequestHandler& next, std::uint16_t port);

  void handle(Exchange& exchange) noexcept override;
  void deadline_passed(Exchange& exchange) noexcept override { next_.deadline_passed(exchange); }
  void refuse(Exchange& exchange, int status, std::string_view reason) noexcept override {
    next_.refuse(exchange, status, reason);
  }
  [[nodiscard]] bool has_socket(std::string_view path) const noexcept override { return next_.has_socket(path); }

 private:
  RequestHandler& next_;
  std::string port_;  // ":8443"; empty for 443
};

// The port of the first https:// address in `listen`, one per line as ServerRow has them. 443 if there is none.
[[nodiscard]] std::uint16_t https_port(std::string_view listen) noexcept;

}  // namespace pronghorn::worker
