// The application in a worker: takes each request through routing, limits, middleware and handler, and produces exactly
// one response, whatever fails.
//
// A route on which nothing can wait is called directly from handle() and allocates nothing. Any other runs in a
// coroutine that the exchange owns. The order is described in pronghorn/app.h.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/app.h"
#include "worker/exchange/exchange.h"
#include "worker/net/admission.h"
#include "worker/routing/app_objects.h"
#include "worker/routing/app_state.h"
#include "worker/routing/error_answers.h"
#include "worker/routing/router.h"
#include "worker/routing/served_route.h"
#include "worker/runtime/periodic_tasks.h"
#include "worker/state/quarantine/quarantine_gate.h"

namespace pronghorn::worker {

class JobService;
class SocketService;
using Setup = std::function<void(App&)>;

// Runs setup and returns what it added. Throws what setup throws.
[[nodiscard]] std::unique_ptr<detail::AppState> run_setup(const Config& config, const Setup& setup);

// Context:   loop thread; one per worker. Its handlers run with the Runtime of the thread.
// Ownership: must outlive every exchange. `config` and `row` must outlive it.
//
// In two files: served_app.cpp (requests that have a handler) and served_app_refusals.cpp (the others).
class ServedApp final : public RequestHandler {
 public:
  // Runs `setup`, writes the names of the routes to row.routes, and from now on the running request to row.running.
  // Throws what setup throws.
  ServedApp(const Config& config, WorkerRow& row, const Setup& setup);
  ServedApp(const ServedApp&) = delete;
  ServedApp& operator=(const ServedApp&) = delete;
  ~ServedApp();

  // From now on requests that `gate` refuses are answered before any middleware or handler runs. `gate` must outlive
  // the exchanges.
  void use_quarantine(QuarantineGate& gate) noexcept { quarantine_ = &gate; }
  // The path of the route for such a request; empty if there is none.
  [[nodiscard]] std::string_view route_of(std::string_view method, std::string_view path) const;

  // Adds the routes of WebSockets to `sockets`, once.
  void add_routes_to(SocketService& sockets) const;

  // From now on `admission` decides which of the requests that may have waited are executed. It must outlive the
  // exchanges.
  void use_admission(Admission& admission) noexcept { admission_ = &admission; }

  void handle(Exchange& exchange) noexcept override;
  void deadline_passed(Exchange& exchange) noexcept override;
  void refuse(Exchange& exchange, int status, std::string_view reason) noexcept override;
  [[nodiscard]] bool has_socket(std::string_view path) const noexcept override;

  // Makes the application's state, runs the on_start hooks, one after the other, and starts the periodic tasks and the
  // handlers of events. What a hook throws ends the start and comes out. `worker` is what requests and hooks see; it must
  // outlive the exchanges.
  [[nodiscard]] Task<void> start(pronghorn::Worker& worker);
  // Takes jobs from now on, if this worker is one that does. After start(), when the worker is ready: a job that kills
  // its worker must not keep it from becoming ready.
  void start_jobs();
  // Ends the periodic tasks and the handlers of events, takes no more jobs, and runs the on_drain hooks, one after the
  // other. What one throws is logged.
  [[nodiscard]] Task<void> drain(pronghorn::Worker& worker);
  // Runs the on_stop hooks, the last registered first. What one throws is logged. The state lives on until
  // clear_state().
  [[nodiscard]] Task<void> stop(pronghorn::Worker& worker);

  // For Worker::find_state().
  [[nodiscard]] void* find_state(const std::type_info& type) const noexcept { return objects_.find(type); }
  // Destroys the application's state. No coroutine of the application may be left.
  void clear_state() noexcept { objects_.clear(); }

 private:
  void name_routes();
  void handle_events(pronghorn::Worker& worker);
  void shed(Exchange& exchange, const AfterChain& afters);
  [[nodiscard]] bool runs_again(Exchange& exchange, const RouteMatch& match) const noexcept;
  [[nodiscard]] bool refuse_overloaded(Exchange& exchange, const RouteMatch& match);
  void answer_interrupted(Exchange& exchange);
  [[nodiscard]] bool refuse_quarantined(Exchange& exchange, const RouteMatch& match);
  void answer_without_route(Exchange& exchange, const RouteMatch& match);
  void answer_options(Exchange& exchange, const std::string& allowed);
  void add_required_fields(const Exchange& exchange, Response& response) const;
  [[nodiscard]] const AfterChain& options_afters(Exchange& exchange) const;
  // The after middleware for responses that no handler makes. May set the parameters of `exchange`, which that
  // middleware can ask for.
  [[nodiscard]] const AfterChain& afters_of(const RouteMatch& match, Exchange& exchange) const;
  [[nodiscard]] const AfterChain& afters_of(const Exchange& exchange) const;
  void answer_plain(Exchange& exchange, const ServedRoute& route);
  [[nodiscard]] Task<void> serve(Exchange& exchange, const ServedRoute& route);

  // Answers a refused request in place of its handler. Hooks that wait have kTimeToAnswer.
  void refuse_with(Exchange& exchange, const AfterChain& afters, ErrorAnswer error);
  // Answers a request that no handler has answered.
  void answer(Exchange& exchange, const AfterChain& afters, ErrorAnswer error);
  [[nodiscard]] Task<void> answer_later(Exchange& exchange, const AfterChain& afters, ErrorAnswer error);
  // Sends a response, after the after middleware.
  void send(Exchange& exchange, const AfterChain& afters, Response response);
  [[nodiscard]] Task<void> send_later(Exchange& exchange, const AfterChain& afters, Response response);
  // Runs a coroutine that ends by sending the response. The exchange may be gone when it returns.
  static void run(Exchange& exchange, Task<void> task);

  // The last steps before any response is sent.
  void finish(Exchange& exchange, const AfterChain& afters, Response& response) noexcept;
  [[nodiscard]] Task<void> finish_later(Exchange& exchange, const AfterChain& afters, Response& response);
  void after_failed(Exchange& exchange, Response& response) noexcept;
  void seal(Exchange& exchange, Response& response);

  WorkerRow& row_;
  std::uint32_t max_in_flight_;
  std::uint32_t job_workers_;
  bool has_redis_;
  std::unique_ptr<detail::AppState> state_;
  std::vector<ServedRoute> routes_;
  std::vector<AfterChain> group_afters_;  // in the order of state_->groups
  ErrorAnswers errors_;
  QuarantineGate* quarantine_ = nullptr;
  Admission* admission_ = nullptr;
  pronghorn::Worker* worker_ = nullptr;
  StateServices* services_ = nullptr;  // once there are handlers of events
  AppObjects objects_;
  PeriodicTasks periodic_;
  JobService* jobs_ = nullptr;  // once it takes jobs
};

}  // namespace pronghorn::worker
