#include "worker/routing/served_app.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <utility>

#include "common/log.h"
#include "worker/exchange/deadline.h"
#include "worker/exchange/running.h"
#include "worker/http/response_access.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/limits/limit_fields.h"
#include "worker/state/limits/rate_limiter.h"
#include "worker/state/state_services.h"

namespace pronghorn::worker {

namespace {

Task<void> run_or_log(const detail::Hook& hook, pronghorn::Worker& worker, const char* failed) {
  try {
    co_await hook(worker);
  } catch (...) {
    log_error(failed, {{"error", describe(std::current_exception())}});
  }
}

constexpr std::string_view kOtherRoutes = "other";
// Time limit of an on_error hook and after middleware, if a request is refused or its deadline has passed.
constexpr std::chrono::seconds kTimeToAnswer{1};

// Names the running request until the end of the scope. Does not touch the exchange when it ends.
class RunningScope {
 public:
  explicit RunningScope(Exchange& exchange) noexcept { detail::set_running(&exchange); }
  RunningScope(const RunningScope&) = delete;
  RunningScope& operator=(const RunningScope&) = delete;
  ~RunningScope() { detail::set_running(nullptr); }
};

// The last thing that an exchange's coroutine awaits. The coroutine is suspended while the response is sent, so that
// the owner may destroy it together with the exchange.
class SendResponse {
 public:
  // `response` must be a variable of the coroutine.
  SendResponse(Exchange& exchange, Response& response) noexcept : exchange_(exchange), response_(response) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) { exchange_.owner->respond(exchange_, std::move(response_)); }
  void await_resume() const noexcept {}

 private:
  Exchange& exchange_;
  Response& response_;
};

void name_row(RouteRow& row, std::string_view name) {
  if (row.route.get() == name) return;
  // Clears the figures of a previous application.
  row.requests.store(0, std::memory_order_relaxed);
  row.errors.store(0, std::memory_order_relaxed);
  std::construct_at(&row.latency);
  row.route.set(name);
}

bool is_final_status(const Response& response) noexcept { return response.status() >= 200 && response.status() <= 599; }

void check_status(const Response& response) {
  if (is_final_status(response)) return;
  throw std::logic_error(fmt::format("the handler answered with status {}; use 200 to 599", response.status()));
}

std::string folder_of(const Config& config) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path file =
      config.app.empty() ? fs::read_symlink("/proc/self/exe", error) : fs::absolute(config.app, error);
  return file.parent_path();
}

}  // namespace

std::unique_ptr<detail::AppState> run_setup(const Config& config, const Setup& setup) {
  auto state = std::make_unique<detail::AppState>();
  state->settings.insert(config.app_settings.begin(), config.app_settings.end());
  state->folder = folder_of(config);
  App app(*state);
  setup(app);
  return state;
}

ServedApp::ServedApp(const Config& config, WorkerRow& row, const Setup& setup)
    : row_(row),
      max_in_flight_(config.http.max_in_flight),
      state_(run_setup(config, setup)),
      root_afters_(after_chain(state_->groups.front())),
      errors_(state_->error_handler, row) {
  constexpr std::size_t kOther = kMaxRoutes - 1;
  routes_.reserve(state_->routes.size());
  for (const detail::RouteEntry& entry : state_->routes) {
    routes_.emplace_back(entry, config.http, static_cast<std::uint32_t>(std::min(routes_.size(), kOther)));
  }
  name_routes();
  use_journal(&row.running);
}

ServedApp::~ServedApp() { use_journal(nullptr); }

void ServedApp::name_routes() {
  constexpr std::size_t kOther = kMaxRoutes - 1;
  constexpr std::size_t kLongestName = 111;  // of RouteRow::route
  for (std::size_t i = 0; i < kMaxRoutes; ++i) {
    std::string_view name;
    if (i < routes_.size()) name = routes_[i].entry().name;
    if (i == kOther && routes_.size() > kOther) name = kOtherRoutes;
    name_row(row_.routes[i], name.substr(0, kLongestName));
  }
}

void ServedApp::handle(Exchange& exchange) noexcept {
  exchange.worker = worker_;
  const RouteMatch match = state_->router.find(exchange.head.method, exchange.head.path, exchange.params);
  if (exchange.surplus ||
      (max_in_flight_ != 0 && row_[Count::in_flight].load(std::memory_order_relaxed) > max_in_flight_)) {
    return shed(exchange, afters_of(match));
  }
  // Before the quarantine, which may be due to this very request.
  if (exchange.interrupted != Interrupted::no && !runs_again(exchange, match)) [[unlikely]] {
    return answer_interrupted(exchange);
  }
  if (exchange.pressed && refuse_overloaded(exchange, match)) [[unlikely]]
    return;
  if (quarantine_ != nullptr && quarantine_->active() && refuse_quarantined(exchange, match)) return;
  if (match.kind != RouteMatch::Kind::found) return answer_without_route(exchange, match.kind);
  const ServedRoute& route = routes_[match.route];
  exchange.param_count = match.param_count;
  exchange.route = route.entry().path;
  exchange.route_index = route.index();
  if (route.deadline().count() > 0) exchange.deadline = exchange.started + route.deadline();
  if (exchange.peer != nullptr && exchange.peer->trusted_proxies != nullptr && shorten_deadline(exchange)) {
    add(row_[Count::limit_deadline]);
    return refuse_with(exchange, route.afters(), {.status = 504, .detail = "the deadline of the request has passed"});
  }
  if (!exchange.body.set_limit(route.max_body())) {
    add(row_[Count::limit_body]);
    return answer(exchange, route.afters(), {.status = 413, .detail = "the body is larger than this route accepts"});
  }
  if (route.plain()) return answer_plain(exchange, route);
  run(exchange, serve(exchange, route));
}

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

// Under its key: what the dead worker had claimed is free, and if it had finished, its response is sent.
bool ServedApp::runs_again(Exchange& exchange, const RouteMatch& match) noexcept {
  if (exchange.interrupted != Interrupted::once || match.kind != RouteMatch::Kind::found) return false;
  if (!routes_[match.route].entry().idempotent || !exchange.head.find("idempotency-key")) return false;
  add(row_[Count::requests_replayed]);
  return true;
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

std::string_view ServedApp::route_of(std::string_view method, std::string_view path) const {
  std::array<RouteMatch::Param, kMaxRouteParams> params;
  const RouteMatch match = state_->router.find(method, path, params);
  return match.kind == RouteMatch::Kind::found ? std::string_view(routes_[match.route].entry().path)
                                               : std::string_view();
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
    refuse_with(exchange, afters_of(match), std::move(refusal->answer));
  }
  return true;
}

void ServedApp::answer_plain(Exchange& exchange, const ServedRoute& route) {
  std::optional<Response> response;
  {
    const RunningScope running(exchange);
    try {
      response = route.run_plain(exchange.request);
      check_status(*response);
    } catch (...) {
      ErrorAnswer error = answer_to_exception(exchange, std::current_exception());
      if (errors_.waits()) return run(exchange, answer_later(exchange, route.afters(), std::move(error)));
      response = errors_.response(exchange, error);
    }
    finish(exchange, route.afters(), *response);
  }
  exchange.owner->respond(exchange, std::move(*response));
}

Task<void> ServedApp::serve(Exchange& exchange, const ServedRoute& route) {
  std::optional<Response> response;
  std::optional<LimitDecision> limits;
  std::optional<ErrorAnswer> error;
  try {
    if (exchange.state && !route.entry().limits.empty()) {
      limits = co_await exchange.state->limiter.check(exchange.request, route.entry().limits, route.limit_names());
      if (!limits->allowed) error = limit_refusal(*limits);
    }
    if (!error) {
      Response answered = co_await route.run(exchange.request);
      check_status(answered);
      response = std::move(answered);
      if (exchange.session) co_await exchange.state->sessions.commit(exchange, *response);
    }
  } catch (...) {
    error = answer_to_exception(exchange, std::current_exception());
  }
  if (error && errors_.waits()) {
    Response made = co_await errors_.wait_for_response(exchange, *error);
    response = std::move(made);
  } else if (error) {
    response = errors_.response(exchange, *error);
  }
  if (limits) add_limit_fields(*response, *limits, exchange.state->limiter.field_style());
  if (route.afters().waits) {
    co_await finish_later(exchange, route.afters(), *response);
  } else {
    finish(exchange, route.afters(), *response);
  }
  SendResponse sent(exchange, *response);
  co_await sent;
}

void ServedApp::run(Exchange& exchange, Task<void> task) {
  exchange.running = std::move(task);
  const RunningScope running(exchange);
  exchange.running.start();
}

void ServedApp::refuse_with(Exchange& exchange, const AfterChain& afters, ErrorAnswer error) {
  exchange.timed_out = true;
  exchange.deadline = std::chrono::steady_clock::now() + kTimeToAnswer;
  answer(exchange, afters, std::move(error));
}

void ServedApp::answer(Exchange& exchange, const AfterChain& afters, ErrorAnswer error) {
  if (errors_.waits()) return run(exchange, answer_later(exchange, afters, std::move(error)));
  std::optional<Response> response;
  {
    const RunningScope running(exchange);
    response = errors_.response(exchange, error);
  }
  send(exchange, afters, std::move(*response));
}

Task<void> ServedApp::answer_later(Exchange& exchange, const AfterChain& afters, ErrorAnswer error) {
  Response response = co_await errors_.wait_for_response(exchange, error);
  co_await finish_later(exchange, afters, response);
  SendResponse sent(exchange, response);
  co_await sent;
}

void ServedApp::send(Exchange& exchange, const AfterChain& afters, Response response) {
  if (afters.waits) return run(exchange, send_later(exchange, afters, std::move(response)));
  {
    const RunningScope running(exchange);
    finish(exchange, afters, response);
  }
  exchange.owner->respond(exchange, std::move(response));
}

Task<void> ServedApp::send_later(Exchange& exchange, const AfterChain& afters, Response response) {
  co_await finish_later(exchange, afters, response);
  SendResponse sent(exchange, response);
  co_await sent;
}

void ServedApp::finish(Exchange& exchange, const AfterChain& afters, Response& response) noexcept {
  add_request_id(exchange, response);  // before middleware may compress the body
  if (afters.functions.empty() && is_final_status(response)) return;
  for (const Middleware::Function* function : afters.functions) {
    try {
      std::get<Middleware::After> (*function)(exchange.request, response);
    } catch (...) {
      after_failed(exchange, response);
    }
  }
  seal(exchange, response);
}

Task<void> ServedApp::finish_later(Exchange& exchange, const AfterChain& afters, Response& response) {
  add_request_id(exchange, response);
  for (const Middleware::Function* function : afters.functions) {
    try {
      if (const auto* plain = std::get_if<Middleware::After>(function)) {
        (*plain)(exchange.request, response);
      } else {
        co_await std::get<Middleware::CoroutineAfter> (*function)(exchange.request, response);
      }
    } catch (...) {
      after_failed(exchange, response);
    }
  }
  seal(exchange, response);
}

void ServedApp::after_failed(Exchange& exchange, Response& response) noexcept {
  errors_.report(exchange, "after middleware failed", std::current_exception());
  response = problem(500);
}

void ServedApp::seal(Exchange& exchange, Response& response) {
  if (!is_final_status(response)) {
    add(row_[Count::handler_errors]);
    log_error("on_error or after middleware answered with an invalid status",
              {{"request", exchange.id()}, {"route", exchange.route}, {"status", response.status()}});
    response = problem(500);
  }
  add_request_id(exchange, response);
}

void ServedApp::answer_without_route(Exchange& exchange, RouteMatch::Kind kind) {
  if (!state_->router.knows_method(exchange.head.method)) {
    return answer(exchange, root_afters_, {.status = 501, .detail = "no route of this server has this method"});
  }
  const std::string allowed = state_->router.allowed_methods(exchange.head.path);
  if (!allowed.empty()) {
    if (exchange.head.method == "OPTIONS") return answer_options(exchange, allowed);
    return answer(exchange, root_afters_,
                  {.status = 405, .detail = "this path does not support the method", .fields = {{"Allow", allowed}}});
  }
  if (kind == RouteMatch::Kind::malformed && exchange.head.path != "*") {
    return answer(exchange, root_afters_, {.status = 400, .detail = "the path is malformed or has a dot segment"});
  }
  answer(exchange, root_afters_, {.status = 404});
}

void ServedApp::answer_options(Exchange& exchange, const std::string& allowed) {
  Response response(204);
  response.set("Allow", allowed);
  send(exchange, preflight_afters(exchange), std::move(response));
}

// A CORS preflight concerns the route that the actual request will find: the middleware of its group answers.
const AfterChain& ServedApp::preflight_afters(Exchange& exchange) const {
  const auto method = exchange.head.find("access-control-request-method");
  if (!method) return root_afters_;
  return afters_of(state_->router.find(*method, exchange.head.path, exchange.params));
}

const AfterChain& ServedApp::afters_of(const RouteMatch& match) const {
  return match.kind == RouteMatch::Kind::found ? routes_[match.route].afters() : root_afters_;
}

// exchange.route is the text of the route's own entry; its index may be shared.
const AfterChain& ServedApp::afters_of(const Exchange& exchange) const {
  const auto route = std::ranges::find_if(
      routes_, [&exchange](const ServedRoute& served) { return served.entry().path.data() == exchange.route.data(); });
  return route == routes_.end() ? root_afters_ : route->afters();
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

Task<void> ServedApp::start(pronghorn::Worker& worker) {
  worker_ = &worker;
  co_await objects_.make(state_->states, worker);
  for (const auto& hook : state_->start_hooks) co_await hook(worker);
  periodic_.start(state_->periodic_tasks, worker);
}

Task<void> ServedApp::drain(pronghorn::Worker& worker) {
  periodic_.stop();
  for (const auto& hook : state_->drain_hooks) co_await run_or_log(hook, worker, "an on_drain hook failed");
}

Task<void> ServedApp::stop(pronghorn::Worker& worker) {
  for (auto hook = state_->stop_hooks.rbegin(); hook != state_->stop_hooks.rend(); ++hook) {
    co_await run_or_log(*hook, worker, "an on_stop hook failed");
  }
}

}  // namespace pronghorn::worker
