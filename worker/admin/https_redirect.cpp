#include "worker/admin/https_redirect.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "worker/fields/host.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint16_t kHttpsPort = 443;
constexpr std::string_view kAcme = "/.well-known/acme-challenge/";

// A valid Host without its port.
std::string_view name_of(std::string_view host) noexcept {
  const std::size_t bracket = host.rfind(']');  // of an IPv6 address
  const std::size_t colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  return has_port ? host.substr(0, colon) : host;
}

}  // namespace

HttpsRedirect::HttpsRedirect(RequestHandler& next, std::uint16_t port)
    : next_(next), port_(port == kHttpsPort ? "" : ":" + std::to_string(port)) {}

void HttpsRedirect::handle(Exchange& exchange) noexcept {
  const RequestHead& head = exchange.head;
  const bool plain = exchange.peer != nullptr && !exchange.peer->unix_socket && exchange.request.scheme() != "https";
  if (!plain || head.path.starts_with(kAcme)) return next_.handle(exchange);
  const std::string_view host = exchange.request.host();
  const std::string_view name = is_host(host) ? name_of(host) : "";
  if (name.empty()) {  // HTTP/1.0, or an empty Host
    return next_.refuse(exchange, 400, "This server uses https, and the request names no host to redirect to.");
  }
  std::string location = "https://";
  location.append(name).append(port_);
  if (head.path.starts_with('/')) location += head.path;
  if (head.has_query) location.append("?").append(head.query);
  exchange.owner->respond(exchange, redirect(location, 308));
}

std::uint16_t https_port(std::string_view listen) noexcept {
  while (!listen.empty()) {
    const std::string_view line = listen.substr(0, listen.find('\n'));
    listen.remove_prefix(std::min(line.size() + 1, listen.size()));
    if (!line.starts_with("https://")) continue;
    std::uint16_t port = 0;
    const std::string_view digits = line.substr(line.rfind(':') + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error == std::errc{} && end == digits.data() + digits.size() && port != 0) return port;
  }
  return kHttpsPort;
}

}  // namespace pronghorn::worker
