// The server's own endpoints in front of the application: /health, /ready, /status and /metrics.
//
// Context: the loop thread of one worker, or of the admin process.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "common/config/config.h"
#include "common/config/networks.h"
#include "common/ipc/fleet.h"
#include "common/ipc/scoreboard.h"
#include "worker/http/exchange.h"

namespace pronghorn::worker {

class AdminHandler final : public RequestHandler {
 public:
  // `board` and `next` outlive the handler. `readiness` says how this process is (fleet_readiness() in the admin
  // process) and is called for every request for /ready. Throws std::invalid_argument for an entry of admin_networks
  // that is no network.
  AdminHandler(const Config& config, const Scoreboard& board, RequestHandler& next,
               std::function<Readiness()> readiness);

  // Answers a request for an endpoint from a peer that may see it; hands every other one to `next`. Of two
  // endpoints with the same path the first of the list above answers; one without a path is off.
  void handle(Exchange& exchange) noexcept override;
  void deadline_passed(Exchange& exchange) noexcept override { next_.deadline_passed(exchange); }

 private:
  struct Endpoint {
    std::string path;
    Response (AdminHandler::*answer)(const Exchange& exchange) const;
    bool tells_figures;  // needs a local Host from loopback: see may_see()
  };

  // Null for what is not ours. The cost for every request of the application: four comparisons of lengths, rarely of
  // bytes.
  [[nodiscard]] const Endpoint* find(std::string_view path) const noexcept;
  [[nodiscard]] bool may_see(Exchange& exchange, const Endpoint& endpoint) const;

  [[nodiscard]] Response health(const Exchange& exchange) const;
  [[nodiscard]] Response ready(const Exchange& exchange) const;
  [[nodiscard]] Response status(const Exchange& exchange) const;
  [[nodiscard]] Response metrics(const Exchange& exchange) const;

  const Scoreboard& board_;
  RequestHandler& next_;
  std::function<Readiness()> readiness_;
  Networks networks_;
  std::array<Endpoint, 4> endpoints_;
};

}  // namespace pronghorn::worker
