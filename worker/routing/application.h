// The application in a worker: routes requests to handlers, and turns whatever comes of it into one response each.
//
// A route whose handler and middleware are all plain is called straight from handle() and allocates nothing. Any other
// runs in a coroutine that the exchange owns.
//
// Order: limits, middleware from the outermost group inwards, handler, the session's changes, After middleware from the
// innermost group outwards. What throws on the way becomes an error response, which passes After middleware too.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/app.h"
#include "worker/http/exchange.h"
#include "worker/routing/app_state.h"
#include "worker/routing/router.h"
#include "worker/routing/served_route.h"
#include "worker/state/quarantine/quarantine_gate.h"

namespace pronghorn::worker {

// Runs setup and returns what it said. Throws what setup throws.
[[nodiscard]] std::unique_ptr<detail::AppState> run_setup(const Config& config, void (*setup)(App&));

// Context:   loop thread; one per worker. Its handlers run with the Runtime of the thread.
// Ownership: outlives every exchange. `config` and `row` outlive it.
class Application final : public RequestHandler {
 public:
  // Runs `setup`, fills the names of row.routes, and tells in row.running which request has the loop. Throws what
  // setup throws.
  Application(const Config& config, WorkerRow& row, void (*setup)(App&));
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;
  ~Application();

  // From now on what `gate` refuses gets its answer before any code of the application runs. It outlives the exchanges.
  void use_quarantine(QuarantineGate& gate) noexcept { quarantine_ = &gate; }
  // The pattern of the route for such a request; empty: none.
  [[nodiscard]] std::string_view route_of(std::string_view method, std::string_view path) const;

  void handle(Exchange& exchange) noexcept override;
  void deadline_passed(Exchange& exchange) noexcept override;

  // The hooks, one after the other. A start hook's exception ends the start and comes out; one of a stop hook is
  // logged, and the others still run, the last registered first. `worker` outlives the task.
  [[nodiscard]] Task<void> run_start_hooks(pronghorn::Worker& worker);
  [[nodiscard]] Task<void> run_stop_hooks(pronghorn::Worker& worker);

 private:
  void name_routes();
  void shed(Exchange& exchange);
  [[nodiscard]] bool refuse_quarantined(Exchange& exchange, const RouteMatch& match);
  void answer_without_route(Exchange& exchange, RouteMatch::Kind kind);
  [[nodiscard]] const std::vector<const After*>& preflight_afters(Exchange& exchange) const;
  void answer_plain(Exchange& exchange, const ServedRoute& route);
  [[nodiscard]] Response run_plain(Exchange& exchange, const ServedRoute& route);
  [[nodiscard]] Task<void> serve(Exchange& exchange, const ServedRoute& route);
  // The last step before any response is sent.
  void finish(Exchange& exchange, const std::vector<const After*>& afters, Response& response) noexcept;
  void answer(Exchange& exchange, const std::vector<const After*>& afters, int status, std::string_view detail);

  WorkerRow& row_;
  std::uint32_t max_in_flight_;
  std::unique_ptr<detail::AppState> state_;
  std::vector<ServedRoute> routes_;
  std::vector<const After*> root_afters_;
  QuarantineGate* quarantine_ = nullptr;
};

}  // namespace pronghorn::worker
