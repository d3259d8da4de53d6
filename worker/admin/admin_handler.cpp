#include "worker/admin/admin_handler.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "common/ipc/status/status.h"
#include "common/text/json_text.h"
#include "worker/admin/metrics_text.h"
#include "worker/admin/negotiation.h"
#include "worker/admin/status_page.h"
#include "worker/crypto/random_hex.h"
#include "worker/fields/host.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

// The seconds of "history=10m" in a query: 0 without it, nothing if it is no duration.
std::optional<std::uint64_t> history_of(std::string_view query) noexcept {
  constexpr std::string_view kName = "history=";
  while (!query.empty() && !query.starts_with(kName))
    query.remove_prefix(std::min(query.find('&'), query.size() - 1) + 1);
  if (query.empty()) return 0;
  query = query.substr(kName.size(), query.find('&') - kName.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(query.data(), query.data() + query.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(query.data() + query.size() - end));
  const std::uint64_t seconds = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (error != std::errc{} || seconds == 0) return std::nullopt;
  return std::min<std::uint64_t>(number, 24 * 3600) * seconds;
}

// Whether a proxy's field says that the request is forwarded for another client.
bool was_forwarded(const RequestHead& head) noexcept {
  constexpr std::string_view kPrefix = "x-forwarded-";
  const auto* const end = head.fields.begin() + head.field_count;
  return std::any_of(head.fields.begin(), end, [&](const Header& field) {
    return equal_ignoring_case(field.name.substr(0, kPrefix.size()), kPrefix) ||
           equal_ignoring_case(field.name, "forwarded") || equal_ignoring_case(field.name, "x-real-ip") ||
           equal_ignoring_case(field.name, "via");
  });
}

// As long as it exists, the request that is being answered is not in flight.
class NotInFlight {
 public:
  explicit NotInFlight(WorkerRow& row) noexcept : row_(row) { subtract(row_[Count::in_flight]); }
  NotInFlight(const NotInFlight&) = delete;
  NotInFlight& operator=(const NotInFlight&) = delete;
  ~NotInFlight() { add(row_[Count::in_flight]); }

 private:
  WorkerRow& row_;
};

std::uint64_t bit_of_length(std::string_view path) noexcept {
  return std::uint64_t{1} << std::min<std::size_t>(path.size(), 63);
}

}  // namespace

AdminHandler::AdminHandler(const Config& config, const Scoreboard& board, WorkerRow& row, RequestHandler& next,
                           std::function<Readiness()> readiness)
    : board_(board),
      row_(row),
      next_(next),
      readiness_(std::move(readiness)),
      networks_(config.admin_networks),
      endpoints_{{{config.health_path, &AdminHandler::health, false},
                  {config.ready_path, &AdminHandler::ready, false},
                  {config.status_path, &AdminHandler::status, true},
                  {config.metrics_path, &AdminHandler::metrics, true}}} {
  for (const Endpoint& endpoint : endpoints_) lengths_ |= bit_of_length(endpoint.path);
}

void AdminHandler::handle(Exchange& exchange) noexcept {
  if ((lengths_ & bit_of_length(exchange.head.path)) == 0) [[likely]]
    return next_.handle(exchange);
  const Endpoint* const endpoint = find(exchange.head.path);
  if (endpoint == nullptr || !may_see(exchange, *endpoint)) return next_.handle(exchange);
  answer(exchange, *endpoint);
}

void AdminHandler::answer(Exchange& exchange, const Endpoint& endpoint) const {
  const std::string_view method = exchange.head.method;
  Response response;
  if (method == "GET" || method == "HEAD") {
    response = (this->*endpoint.answer)(exchange);
  } else {
    response = problem(405, "This endpoint answers GET and HEAD.");
    response.set("Allow", "GET, HEAD");
  }
  response.set("Cache-Control", "no-store").set("Vary", "Accept").set("X-Content-Type-Options", "nosniff");
  exchange.owner->respond(exchange, std::move(response));
}

const AdminHandler::Endpoint* AdminHandler::find(std::string_view path) const noexcept {
  for (const Endpoint& endpoint : endpoints_) {
    const std::string_view own = endpoint.path;
    if (!path.empty() && path == own) return &endpoint;
  }
  return nullptr;
}

// The peer of a forwarded request is the proxy, so access depends on the client that a trusted proxy names. Such a
// client never counts as loopback, and a request with both families of forwarding fields gets no access.
//
// A proxy on this machine that sends no forwarding field looks like a local client. It and a browser whose page has
// rebound its name to 127.0.0.1 (DNS rebinding) send a foreign Host, so the figures need a local one.
bool AdminHandler::may_see(Exchange& exchange, const Endpoint& endpoint) const {
  if (exchange.peer == nullptr) return false;
  const RequestHead& head = exchange.head;
  if (!was_forwarded(head)) {
    if (!exchange.peer->loopback) return networks_.contains(exchange.peer->client.address);
    return !endpoint.tells_figures ||
           is_local_host(head.authority.empty() ? head.value(KnownHeader::host) : head.authority);
  }
  const Forwarding* said = exchange.forwarding();
  if (said == nullptr) return false;
  const auto client = parse_ip_address(said->client.address);
  return client && !is_loopback(*client) && networks_.contains(*client);
}

Response AdminHandler::health(Exchange&) const { return json_text(R"({"status":"alive"})"); }

Response AdminHandler::ready(Exchange&) const {
  const Readiness readiness = readiness_();
  nlohmann::json reasons = nlohmann::json::array();
  if (!readiness.started) reasons.push_back("the application has not started");
  if (!readiness.redis) reasons.push_back("Redis cannot be reached or refuses writes");
  if (readiness.draining) reasons.push_back("the server is draining");
  if (readiness.stuck) reasons.push_back("every worker is stuck");
  const nlohmann::json body{{"ready", readiness.ready()}, {"reasons", std::move(reasons)}};
  return json_text(dump_json(body), readiness.ready() ? 200 : 503);
}

Response AdminHandler::status(Exchange& exchange) const {
  // The page's own requests are no traffic, and the page does not show them as running.
  std::optional<NotInFlight> own;
  exchange.counted = exchange.head.query.find("poll") == std::string_view::npos;
  if (!exchange.counted) own.emplace(row_);
  const auto history_s = history_of(exchange.head.query);
  if (!history_s) return problem(400, "history: use a whole number of s, m or h, such as 10m; the last hour is kept");
  if (!prefers_html(exchange.head.find("accept").value_or(""))) return json_text(status_json_text(board_, *history_s));
  const std::string nonce = random_hex();
  Response response = html(status_page(board_.server().name.get(), nonce));
  response.set("Content-Security-Policy", content_security_policy(nonce)).set("Referrer-Policy", "no-referrer");
  return response;
}

Response AdminHandler::metrics(Exchange&) const {
  return Response(200, prometheus_metrics(board_), "text/plain; version=0.0.4; charset=utf-8");
}

}  // namespace pronghorn::worker
