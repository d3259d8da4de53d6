#include "worker/routing/application.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <utility>

#include "common/log.h"
#include "worker/http/running.h"
#include "worker/routing/error_responses.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/limits/limit_fields.h"
#include "worker/state/limits/rate_limiter.h"
#include "worker/state/state_services.h"

namespace pronghorn::worker {

namespace {

constexpr std::string_view kOtherRoutes = "other";

// Marks whose code runs until the end of the scope. Does not touch the exchange when it ends.
class RunningScope {
 public:
  explicit RunningScope(Exchange& exchange) noexcept { detail::set_running(&exchange); }
  RunningScope(const RunningScope&) = delete;
  RunningScope& operator=(const RunningScope&) = delete;
  ~RunningScope() { detail::set_running(nullptr); }
};

// The last thing that an exchange's coroutine awaits. The coroutine is suspended when the response is sent, so that the
// owner may destroy it with the exchange.
class SendResponse {
 public:
  // `response` is a variable of the coroutine.
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
  // Another application was here: its figures are not ours.
  row.requests.store(0, std::memory_order_relaxed);
  row.errors.store(0, std::memory_order_relaxed);
  std::construct_at(&row.latency);
  row.route.set(name);
}

std::string folder_of(const Config& config) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path file =
      config.app.empty() ? fs::read_symlink("/proc/self/exe", error) : fs::absolute(config.app, error);
  return file.parent_path();
}

}  // namespace

std::unique_ptr<detail::AppState> run_setup(const Config& config, void (*setup)(App&)) {
  auto state = std::make_unique<detail::AppState>();
  state->settings.insert(config.app_settings.begin(), config.app_settings.end());
  state->folder = folder_of(config);
  App app(*state);
  setup(app);
  return state;
}

Application::Application(const Config& config, WorkerRow& row, void (*setup)(App&))
    : row_(row),
      max_in_flight_(config.http.max_in_flight),
      state_(run_setup(config, setup)),
      root_afters_(afters_of(state_->groups.front())) {
  constexpr std::size_t kOther = kMaxRoutes - 1;
  routes_.reserve(state_->routes.size());
  for (const detail::RouteEntry& entry : state_->routes) {
    routes_.emplace_back(entry, config.http, static_cast<std::uint32_t>(std::min(routes_.size(), kOther)));
  }
  name_routes();
  use_journal(&row.running);
}

Application::~Application() { use_journal(nullptr); }

void Application::name_routes() {
  constexpr std::size_t kOther = kMaxRoutes - 1;
  constexpr std::size_t kLongestName = 111;  // of RouteRow::route
  for (std::size_t i = 0; i < kMaxRoutes; ++i) {
    std::string_view name;
    if (i < routes_.size()) name = routes_[i].entry().name;
    if (i == kOther && routes_.size() > kOther) name = kOtherRoutes;
    name_row(row_.routes[i], name.substr(0, kLongestName));
  }
}

void Application::handle(Exchange& exchange) noexcept {
  if (exchange.surplus ||
      (max_in_flight_ != 0 && row_[Count::in_flight].load(std::memory_order_relaxed) > max_in_flight_)) {
    return shed(exchange);
  }
  const RouteMatch match = state_->router.find(exchange.head.method, exchange.head.path, exchange.params);
  if (quarantine_ != nullptr && quarantine_->active() && refuse_quarantined(exchange, match)) return;
  if (match.kind != RouteMatch::Kind::found) return answer_without_route(exchange, match.kind);
  const ServedRoute& route = routes_[match.route];
  exchange.param_count = match.param_count;
  exchange.route = route.entry().path;
  exchange.route_index = route.index();
  if (route.deadline().count() > 0) exchange.deadline = exchange.started + route.deadline();
  if (!exchange.body.set_limit(route.max_body())) {
    add(row_[Count::limit_body]);
    return answer(exchange, route.afters(), 413, "the body is larger than allowed here");
  }
  if (route.plain()) return answer_plain(exchange, route);
  exchange.running = serve(exchange, route);
  const RunningScope running(exchange);
  exchange.running.start();  // the exchange may be gone when it returns
}

void Application::shed(Exchange& exchange) {
  add(row_[Count::shed]);
  if (!exchange.surplus) add(row_[Count::limit_in_flight]);
  Response response = problem(503, exchange.surplus ? "too many connections" : "too many requests are being handled");
  response.set("Retry-After", "1");
  exchange.owner->respond(exchange, std::move(response));
}

std::string_view Application::route_of(std::string_view method, std::string_view path) const {
  std::array<RouteMatch::Param, kMaxRouteParams> params;
  const RouteMatch match = state_->router.find(method, path, params);
  return match.kind == RouteMatch::Kind::found ? std::string_view(routes_[match.route].entry().path)
                                               : std::string_view();
}

// As the journal names a request, so that both sides see the same: a path that is too long for it is cut, and the cut
// one may have another route.
bool Application::refuse_quarantined(Exchange& exchange, const RouteMatch& match) {
  const std::string_view method = exchange.head.method.substr(0, kMaxRunningMethod);
  const std::string_view path = exchange.head.path.substr(0, kMaxRunningPath);
  std::string_view route;
  if (path.size() < exchange.head.path.size()) {
    route = route_of(method, path);
  } else if (match.kind == RouteMatch::Kind::found) {
    route = routes_[match.route].entry().path;
  }
  auto response = quarantine_->refusal(method, route, path);
  if (!response) return false;
  add_request_id(exchange, *response);
  exchange.owner->respond(exchange, std::move(*response));
  return true;
}

void Application::answer_plain(Exchange& exchange, const ServedRoute& route) {
  Response response = run_plain(exchange, route);
  exchange.owner->respond(exchange, std::move(response));
}

Response Application::run_plain(Exchange& exchange, const ServedRoute& route) {
  const RunningScope running(exchange);
  Response response = [&] {
    try {
      return route.run_plain(exchange.request);
    } catch (...) {
      return response_to_error(exchange, state_->error_handler, std::current_exception(), row_);
    }
  }();
  finish(exchange, route.afters(), response);
  return response;
}

Task<void> Application::serve(Exchange& exchange, const ServedRoute& route) {
  std::optional<Response> response;
  std::optional<LimitDecision> limits;
  std::exception_ptr error;
  try {
    if (exchange.state && !route.entry().limits.empty()) {
      limits = co_await exchange.state->limiter.check(exchange.request, route.entry().limits, route.limit_names());
      if (!limits->allowed) response = limit_response(*limits);
    }
    if (!response) {
      Response answered = co_await route.run(exchange.request);
      response = std::move(answered);
      if (exchange.session) co_await exchange.state->sessions.commit(exchange, *response);
    }
  } catch (...) {
    error = std::current_exception();
  }
  if (error) response = response_to_error(exchange, state_->error_handler, error, row_);
  if (limits) add_limit_fields(*response, *limits, exchange.state->limiter.field_style());
  finish(exchange, route.afters(), *response);
  SendResponse sent(exchange, *response);
  co_await sent;
}

void Application::finish(Exchange& exchange, const std::vector<const After*>& afters, Response& response) noexcept {
  add_request_id(exchange, response);  // before middleware may compress the body
  for (const After* after : afters) {
    try {
      (*after)(exchange.request, response);
    } catch (...) {
      report_error(exchange, "After middleware failed", std::current_exception(), row_);
      response = problem(500);
    }
  }
  if (response.status() < 200 || response.status() > 599) {
    add(row_[Count::handler_errors]);
    log_error("a handler answered with an impossible status",
              {{"request", exchange.id()}, {"route", exchange.route}, {"status", response.status()}});
    response = problem(500);
  }
  add_request_id(exchange, response);
}

// For what no handler has answered.
void Application::answer(Exchange& exchange, const std::vector<const After*>& afters, int status,
                         std::string_view detail) {
  Response response;
  {
    const RunningScope running(exchange);
    response = server_answer(exchange, state_->error_handler, status, detail, row_);
    finish(exchange, afters, response);
  }
  exchange.owner->respond(exchange, std::move(response));
}

void Application::answer_without_route(Exchange& exchange, RouteMatch::Kind kind) {
  if (!state_->router.knows_method(exchange.head.method)) {
    return answer(exchange, root_afters_, 501, "no route of this server has this method");
  }
  const std::string allowed = state_->router.allowed_methods(exchange.head.path);
  if (allowed.empty()) {
    const bool malformed = kind == RouteMatch::Kind::malformed && exchange.head.path != "*";
    return malformed ? answer(exchange, root_afters_, 400, "the path is malformed, or has a dot segment")
                     : answer(exchange, root_afters_, 404, "");
  }
  Response response;
  {
    const RunningScope running(exchange);
    const bool options = exchange.head.method == "OPTIONS";
    if (options) {
      response.status(204);
    } else {
      response = server_answer(exchange, state_->error_handler, 405, "this path has other methods", row_);
    }
    if (!response.header("Allow")) response.set("Allow", allowed);
    finish(exchange, options ? preflight_afters(exchange) : root_afters_, response);
  }
  exchange.owner->respond(exchange, std::move(response));
}

// A CORS preflight is for the route that the real request will find: the middleware of its group answers.
const std::vector<const After*>& Application::preflight_afters(Exchange& exchange) const {
  const auto method = exchange.head.find("access-control-request-method");
  if (!method) return root_afters_;
  const RouteMatch match = state_->router.find(*method, exchange.head.path, exchange.params);
  return match.kind == RouteMatch::Kind::found ? routes_[match.route].afters() : root_afters_;
}

void Application::deadline_passed(Exchange& exchange) noexcept {
  exchange.running.reset();
  if (exchange.responded) return;
  // exchange.route is the text of the route's own entry; its index may be shared.
  const auto route = std::find_if(routes_.begin(), routes_.end(), [&exchange](const ServedRoute& served) {
    return served.entry().path.data() == exchange.route.data();
  });
  answer(exchange, route == routes_.end() ? root_afters_ : route->afters(), 504, "the handler took too long");
}

Task<void> Application::run_start_hooks(pronghorn::Worker& worker) {
  for (const auto& hook : state_->start_hooks) co_await hook(worker);
}

Task<void> Application::run_stop_hooks(pronghorn::Worker& worker) {
  for (auto hook = state_->stop_hooks.rbegin(); hook != state_->stop_hooks.rend(); ++hook) {
    try {
      co_await (*hook)(worker);
    } catch (...) {
      log_error("an on_stop hook failed", {{"error", describe(std::current_exception())}});
    }
  }
}

}  // namespace pronghorn::worker
