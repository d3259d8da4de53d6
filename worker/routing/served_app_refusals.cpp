// Requests that no handler answers: see served_app.h.
#include <chrono>
#include <string>
#include <utility>

#include "worker/exchange/running.h"
#include "worker/http/response_access.h"
#include "worker/routing/served_app.h"

namespace pronghorn::worker {
namespace {

// Time limit of an on_error hook and after middleware, if a request is refused or its deadline has passed.
constexpr std::chrono::seconds kTimeToAnswer{1};

}  // namespace

void ServedApp::shed(Exchange& exchange, const AfterChain& afters) {
  add(row_[Count::shed]);
  if (!exchange.surplus) add(row_[Count::limit_in_flight]);
  refuse_with(exchange, afters,
              {.status = 503,
               .detail = exchange.surplus ? "too many connections" : "too many requests in progress",
               .fields = {{"Retry-After", "1"}}});
}

// Nothing of the application runs, no hook and no middleware: at ten times of what a worker can do, it must be able to
// refuse nine requests of ten in the time that is left.
bool ServedApp::refuse_overloaded(Exchange& exchange, const RouteMatch& match) {
  constexpr std::array kCounters{Count::overload_background, Count::overload_normal, Count::overload_critical};
  if (admission_ == nullptr || exchange.interrupted != Interrupted::no) return false;
  const bool found = match.kind == RouteMatch::Kind::found;
  const Priority priority = found ? routes_[match.route].entry().priority : Priority::normal;
  if (admission_->admits(priority, exchange.started, exchange.waited)) return false;
  add(row_[kCounters[static_cast<std::size_t>(priority)]]);
  Response response = problem(503, "the server is overloaded");
  ResponseAccess::fields(response, "Retry-After: 1\r\n");
  add_request_id(exchange, response);
  exchange.owner->respond(exchange, std::move(response));
  return true;
}

void ServedApp::refuse(Exchange& exchange, int status, std::string_view reason) noexcept {
  exchange.running.reset();
  if (exchange.responded) return;
  refuse_with(exchange, afters_of(exchange), {.status = status, .detail = std::string(reason)});
}

// Under its key, if it has one: what the dead worker had claimed is free, and if it had finished, its response is sent.
bool ServedApp::runs_again(Exchange& exchange, const RouteMatch& match) const noexcept {
  if (exchange.interrupted == Interrupted::again) return true;
  if (exchange.interrupted != Interrupted::once || match.kind != RouteMatch::Kind::found) return false;
  return routes_[match.route].entry().idempotent && exchange.head.find("idempotency-key").has_value();
}

// Nothing of the application runs: it may have crashed for this request.
void ServedApp::answer_interrupted(Exchange& exchange) {
  const bool guilty = exchange.interrupted == Interrupted::guilty;
  Response response = guilty ? problem(500, "the server failed while it handled this request")
                             : problem(503,
                                       "the server failed while it handled this request: it may or may not have "
                                       "been carried out");
  if (!guilty) response.set("Retry-After", "1");
  add_request_id(exchange, response);
  exchange.owner->respond(exchange, std::move(response));
}

// Uses method and path as the journal has them, so that both sides see the same request. A path that is too long for
// the journal is truncated there, and the truncated one may have another route.
bool ServedApp::refuse_quarantined(Exchange& exchange, const RouteMatch& match) {
  const std::string_view method = exchange.head.method.substr(0, kMaxRunningMethod);
  const std::string_view path = exchange.head.path.substr(0, kMaxRunningPath);
  std::string_view route;
  if (path.size() < exchange.head.path.size()) {
    route = route_of(method, path);
  } else if (match.kind == RouteMatch::Kind::found) {
    route = routes_[match.route].entry().path;
  }
  auto refusal = quarantine_->refusal(method, route, path);
  if (!refusal) return false;
  if (refusal->without_application) {
    Response response = errors_.built_in_response(exchange, refusal->answer);
    seal(exchange, response);
    exchange.owner->respond(exchange, std::move(response));
  } else {
    refuse_with(exchange, afters_of(match, exchange), std::move(refusal->answer));
  }
  return true;
}

void ServedApp::refuse_with(Exchange& exchange, const AfterChain& afters, ErrorAnswer error) {
  exchange.timed_out = true;
  exchange.deadline = std::chrono::steady_clock::now() + kTimeToAnswer;
  answer(exchange, afters, std::move(error));
}

void ServedApp::answer_without_route(Exchange& exchange, const RouteMatch& match) {
  const bool knows_method = state_->router.knows_method(exchange.head.method);
  const std::string allowed = knows_method ? state_->router.allowed_methods(exchange.head.path) : std::string();
  if (!allowed.empty() && exchange.head.method == "OPTIONS") return answer_options(exchange, allowed);
  const AfterChain& afters = afters_of(match, exchange);
  if (!knows_method) {
    return answer(exchange, afters, {.status = 501, .detail = "no route of this server has this method"});
  }
  if (!allowed.empty()) {
    return answer(exchange, afters,
                  {.status = 405, .detail = "this path does not support the method", .fields = {{"Allow", allowed}}});
  }
  if (match.kind == RouteMatch::Kind::malformed && exchange.head.path != "*") {
    return answer(exchange, afters, {.status = 400, .detail = "the path is malformed or has a dot segment"});
  }
  answer(exchange, afters, {.status = 404});
}

void ServedApp::answer_options(Exchange& exchange, const std::string& allowed) {
  Response response(204);
  response.set("Allow", allowed);
  send(exchange, options_afters(exchange), std::move(response));
}

// What handlers, hooks and middleware need not know: how to authenticate, if a 401 does not say it (RFC 9110 section
// 15.5.2), the one protocol that the server upgrades to, for a 426 (section 15.5.22), and the methods of the path
// (cors() tells them to browsers). A handler's 405 (section 15.5.6) is about its own method.
void ServedApp::add_required_fields(const Exchange& exchange, Response& response) const {
  const std::string_view method = exchange.head.method;
  if (response.status() == 401) [[unlikely]] {
    if (!response.header("WWW-Authenticate")) response.set("WWW-Authenticate", "Bearer");
  } else if (response.status() == 405) [[unlikely]] {
    if (!response.header("Allow")) response.set("Allow", state_->router.allowed_methods(exchange.head.path, method));
  } else if (response.status() == 426) [[unlikely]] {
    if (!response.header("Upgrade")) response.set("Upgrade", "websocket");
  } else if (method == "OPTIONS" && response.status() < 300 && !response.header("Allow")) [[unlikely]] {
    const std::string allowed = state_->router.allowed_methods(exchange.head.path);
    if (!allowed.empty()) response.set("Allow", allowed);
  }
}

// A CORS preflight concerns the route that the actual request will find: the middleware of its group answers. If there
// is none, it concerns the path, as the 405 to that request and any other OPTIONS do.
const AfterChain& ServedApp::options_afters(Exchange& exchange) const {
  const auto method = exchange.head.find("access-control-request-method");
  return afters_of(state_->router.find(method.value_or("OPTIONS"), exchange.head.path, exchange.params), exchange);
}

void ServedApp::deadline_passed(Exchange& exchange) noexcept {
  exchange.running.reset();
  if (exchange.responded) return;
  if (exchange.timed_out) {  // an on_error hook or after middleware that does not end
    Response response = problem(504);
    seal(exchange, response);
    return exchange.owner->respond(exchange, std::move(response));
  }
  refuse_with(exchange, afters_of(exchange), {.status = 504, .detail = "the handler took too long"});
}

}  // namespace pronghorn::worker
