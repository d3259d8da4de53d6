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
#include "worker/fields/methods.h"
#include "worker/http/response_access.h"
#include "worker/runtime/exception_text.h"
#include "worker/state/limits/limit_fields.h"
#include "worker/state/limits/rate_limiter.h"
#include "worker/state/state_services.h"
#include "worker/websocket/socket_service.h"

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

void name_row(RouteRow& row, std::string_view name, bool has_sockets) {
  row.sockets.open.store(0, std::memory_order_relaxed);  // those of the worker that had the row before
  row.sockets.queued.store(0, std::memory_order_relaxed);
  row.sockets.used.store(has_sockets ? 1 : 0, std::memory_order_relaxed);
  if (row.route.get() == name) return;
  // Clears the figures of a previous application.
  row.requests.store(0, std::memory_order_relaxed);
  row.errors.store(0, std::memory_order_relaxed);
  std::construct_at(&row.latency);
  for (Counter* counter : {&row.sockets.messages_in, &row.sockets.messages_out, &row.sockets.bytes_in,
                           &row.sockets.bytes_out, &row.sockets.skipped}) {
    counter->store(0, std::memory_order_relaxed);
  }
  row.route.set(name);
}

bool is_final_status(const Response& response) noexcept {
  if (response.status() == 101) [[unlikely]]
    return ResponseAccess::is_upgrade(response);
  return response.status() >= 200 && response.status() <= 599;
}

std::logic_error invalid_status(const Response& response) {
  return std::logic_error(fmt::format("the handler answered with status {}; use 200 to 599", response.status()));
}

// The response is constructed where the caller wants it, and never moved. Empty, with `failure`, if the handler threw.
Response run_plain(const ServedRoute& route, Request& request, std::exception_ptr& failure) noexcept {
  try {
    return route.run_plain(request);
  } catch (...) {
    failure = std::current_exception();
    return {};
  }
}

// What is stored for a URL ends with a request of an unsafe method (RFC 9111 section 4.4). Routes without such a
// counterpart, which are most, need not care.
void find_changes(std::deque<detail::RouteEntry>& routes) {
  for (detail::RouteEntry& cached : routes) {
    if (!cached.cached) continue;
    for (detail::RouteEntry& other : routes) {
      if (is_safe_method(other.method) || !patterns_overlap(cached.path, other.path)) continue;
      cached.is_changed = true;
      other.changes = true;
    }
  }
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
  find_changes(state->routes);
  return state;
}

ServedApp::ServedApp(const Config& config, WorkerRow& row, const Setup& setup)
    : row_(row),
      max_in_flight_(config.http.max_in_flight),
      job_workers_(config.job_workers),
      has_redis_(config.redis != "none"),
      state_(run_setup(config, setup)),
      errors_(state_->error_handler, row) {
  constexpr std::size_t kOther = kMaxRoutes - 1;
  for (const detail::GroupEntry& group : state_->groups) group_afters_.push_back(after_chain(group));
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
    const auto is_here = [i](const ServedRoute& route) {
      return route.index() == i && route.entry().socket != nullptr;
    };
    name_row(row_.routes[i], name.substr(0, kLongestName), std::ranges::any_of(routes_, is_here));
  }
}

void ServedApp::add_routes_to(SocketService& sockets) const {
  for (const ServedRoute& route : routes_) {
    if (const detail::SocketEntry* const socket = route.entry().socket) {
      sockets.add_route(*socket, route.entry().path, route.index(), route.deadline());
    }
  }
}

void ServedApp::handle(Exchange& exchange) noexcept {
  exchange.worker = worker_;
  const RouteMatch match = state_->router.find(exchange.head.method, exchange.head.path, exchange.params);
  if (exchange.surplus ||
      (max_in_flight_ != 0 && row_[Count::in_flight].load(std::memory_order_relaxed) > max_in_flight_)) {
    return shed(exchange, afters_of(match, exchange));
  }
  // Before the quarantine, which may be due to this very request.
  if (exchange.interrupted != Interrupted::no && !runs_again(exchange, match)) [[unlikely]] {
    return answer_interrupted(exchange);
  }
  if (exchange.pressed && refuse_overloaded(exchange, match)) [[unlikely]]
    return;
  if (quarantine_ != nullptr && quarantine_->active() && refuse_quarantined(exchange, match)) return;
  if (match.kind != RouteMatch::Kind::found) return answer_without_route(exchange, match);
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
  if (exchange.interrupted != Interrupted::no) [[unlikely]]
    add(row_[Count::requests_replayed]);
  if (route.plain()) return answer_plain(exchange, route);
  run(exchange, serve(exchange, route));
}

bool ServedApp::has_socket(std::string_view path) const noexcept {
  std::array<RouteMatch::Param, kMaxRouteParams> params;
  const RouteMatch match = state_->router.find("GET", path, params);
  return match.kind == RouteMatch::Kind::found && routes_[match.route].entry().socket != nullptr;
}

std::string_view ServedApp::route_of(std::string_view method, std::string_view path) const {
  std::array<RouteMatch::Param, kMaxRouteParams> params;
  const RouteMatch match = state_->router.find(method, path, params);
  return match.kind == RouteMatch::Kind::found ? std::string_view(routes_[match.route].entry().path)
                                               : std::string_view();
}

void ServedApp::answer_plain(Exchange& exchange, const ServedRoute& route) {
  detail::set_running(&exchange);
  std::exception_ptr failure;
  Response response = run_plain(route, exchange.request, failure);
  if (failure == nullptr && !is_final_status(response)) failure = std::make_exception_ptr(invalid_status(response));
  if (failure != nullptr) [[unlikely]] {
    ErrorAnswer error = answer_to_exception(exchange, failure);
    detail::set_running(nullptr);
    return answer(exchange, route.afters(), std::move(error));
  }
  finish(exchange, route.afters(), response);
  detail::set_running(nullptr);
  exchange.owner->respond(exchange, std::move(response));
}

// The response of a handler stays in one place until it is sent; moving it would cost as much as finding its route.
Task<void> ServedApp::serve(Exchange& exchange, const ServedRoute& route) {
  std::optional<LimitDecision> limits;
  std::optional<ErrorAnswer> error;
  bool sending = false;
  try {
    if (exchange.state && !route.entry().limits.empty()) {
      exchange.state->sessions.begin_load(exchange);
      limits = co_await exchange.state->limiter.check(exchange.request, route.entry().limits, route.limit_names());
      if (!limits->allowed) error = limit_refusal(*limits);
    }
    if (!error) {
      Response response = co_await route.run(exchange.request);
      if (!is_final_status(response)) throw invalid_status(response);
      if (exchange.session && exchange.state->sessions.must_commit(exchange)) {
        co_await exchange.state->sessions.commit(exchange, response);
      }
      if (limits) add_limit_fields(response, *limits, exchange.state->limiter.field_style());
      if (route.afters().waits) {
        co_await finish_later(exchange, route.afters(), response);
      } else {
        finish(exchange, route.afters(), response);
      }
      sending = true;  // what is thrown from now on is not the handler's
      SendResponse sent(exchange, response);
      co_await sent;
      co_return;
    }
  } catch (...) {
    if (sending) throw;
    error = answer_to_exception(exchange, std::current_exception());
  }
  std::optional<Response> response;
  if (errors_.waits()) {
    Response made = co_await errors_.wait_for_response(exchange, *error);
    response = std::move(made);
  } else {
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
  add_required_fields(exchange, response);
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
  add_required_fields(exchange, response);
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
  if (response.status() >= 400) add_required_fields(exchange, response);  // it may be the middleware's
}

// A path without a route has the middleware of the innermost group whose prefix it has.
const AfterChain& ServedApp::afters_of(const RouteMatch& match, Exchange& exchange) const {
  if (match.route != UINT32_MAX) {
    exchange.param_count = match.param_count;
    return routes_[match.route].afters();
  }
  std::size_t innermost = 0;
  if (match.kind == RouteMatch::Kind::no_path) {
    for (std::size_t i = 1; i < group_afters_.size(); ++i) {
      const std::string_view prefix = state_->groups[i].prefix;
      if (prefix.size() <= state_->groups[innermost].prefix.size()) continue;
      if (has_prefix(exchange.head.path, prefix, exchange.params, exchange.param_count)) innermost = i;
    }
    static_cast<void>(
        has_prefix(exchange.head.path, state_->groups[innermost].prefix, exchange.params, exchange.param_count));
  }
  return group_afters_[innermost];
}

// exchange.route is the text of the route's own entry; its index may be shared.
const AfterChain& ServedApp::afters_of(const Exchange& exchange) const {
  const auto route = std::ranges::find_if(
      routes_, [&exchange](const ServedRoute& served) { return served.entry().path.data() == exchange.route.data(); });
  return route == routes_.end() ? group_afters_.front() : route->afters();
}

Task<void> ServedApp::start(pronghorn::Worker& worker) {
  worker_ = &worker;
  co_await objects_.make(state_->states, worker);
  for (const auto& hook : state_->start_hooks) co_await hook(worker);
  periodic_.start(state_->periodic_tasks, worker);
  handle_events(worker);
}

void ServedApp::handle_events(pronghorn::Worker& worker) {
  if (state_->event_handlers.empty()) return;
  if (!has_redis_) return log_warning("the handlers of on_event() get no events: the option redis is none");
  services_ = &static_cast<StateServices&>(worker.services());
  for (const detail::EventEntry& entry : state_->event_handlers) {
    services_->events.handle(entry.pattern, entry.handler.function(), worker);
  }
}

// With job workers, the others only enqueue.
void ServedApp::start_jobs() {
  if (state_->jobs.empty() || (job_workers_ > 0 && !is_job_slot(worker_->slot()))) return;
  if (!has_redis_) return log_warning("the jobs of the application do not run: the option redis is none");
  jobs_ = &static_cast<StateServices&>(worker_->services()).jobs;
  jobs_->start(state_->jobs, state_->schedules, *worker_);
}

Task<void> ServedApp::drain(pronghorn::Worker& worker) {
  periodic_.stop();
  if (services_ != nullptr) services_->events.stop_handlers();
  if (jobs_ != nullptr) jobs_->stop_taking();
  for (const auto& hook : state_->drain_hooks) co_await run_or_log(hook, worker, "an on_drain hook failed");
}

Task<void> ServedApp::stop(pronghorn::Worker& worker) {
  if (jobs_ != nullptr) {
    co_await jobs_->settle_all();
    jobs_->close();
  }
  for (auto hook = state_->stop_hooks.rbegin(); hook != state_->stop_hooks.rend(); ++hook) {
    co_await run_or_log(*hook, worker, "an on_stop hook failed");
  }
}

}  // namespace pronghorn::worker
