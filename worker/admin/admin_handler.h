// The server's own endpoints in front of the application: /health, /ready, /status and /metrics.
//
// Context: the loop thread of one worker, or of the admin process.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>

#include "common/config/config.h"
#include "common/config/networks.h"
#include "common/ipc/scoreboard.h"
#include "common/ipc/status/fleet.h"
#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

class AdminHandler final : public RequestHandler {
 public:
  // `board`, `row` (this process' own) and `next` must outlive the handler. `readiness` reports the state of this process
  // (fleet_readiness() in the admin process); it is called for every request for /ready. Throws std::invalid_argument if
  // an entry of admin_networks is not a network.
  AdminHandler(const Config& config, const Scoreboard& board, WorkerRow& row, RequestHandler& next,
               std::function<Readiness()> readiness);

  // Answers a request for an endpoint if its peer may see it, and passes every other request to `next`. Of two
  // endpoints with the same path, the first in the list above answers; one without a path is disabled.
  void handle(Exchange& exchange) noexcept override;
  void deadline_passed(Exchange& exchange) noexcept override { next_.deadline_passed(exchange); }
  void refuse(Exchange& exchange, int status, std::string_view reason) noexcept override {
    next_.refuse(exchange, status, reason);
  }
  [[nodiscard]] bool has_socket(std::string_view path) const noexcept override { return next_.has_socket(path); }

 private:
  struct Endpoint {
    std::string path;
    Response (AdminHandler::*answer)(Exchange& exchange) const;
    bool tells_figures;  // needs a local Host from loopback: see may_see()
  };

  // Null for every other path.
  [[nodiscard]] const Endpoint* find(std::string_view path) const noexcept;
  void answer(Exchange& exchange, const Endpoint& endpoint) const;
  [[nodiscard]] bool may_see(Exchange& exchange, const Endpoint& endpoint) const;

  [[nodiscard]] Response health(Exchange& exchange) const;
  [[nodiscard]] Response ready(Exchange& exchange) const;
  [[nodiscard]] Response status(Exchange& exchange) const;
  [[nodiscard]] Response metrics(Exchange& exchange) const;

  const Scoreboard& board_;
  WorkerRow& row_;
  RequestHandler& next_;
  std::function<Readiness()> readiness_;
  Networks networks_;
  std::array<Endpoint, 4> endpoints_;
  std::uint64_t lengths_ = 0;  // of their paths, one bit each: nearly all requests are for none of them
};

}  // namespace pronghorn::worker
