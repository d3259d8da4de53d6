// Checks of a limit by one client.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "unit/worker/state/state_worker.h"
#include "worker/state/limits/limit_fields.h"

namespace pronghorn::test {

using worker::LimitDecision;

inline LimitDecision check(StateWorker& worker, const std::vector<Limit>& limits,
                           const std::string& address = "192.0.2.1", const std::string& route = "GET /limited") {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < limits.size(); ++i) names.push_back(route + (i == 0 ? "" : "#" + std::to_string(i + 1)));
  Visit visit(worker, "", address);
  return worker.run(worker.state->limiter.check(visit.exchange.request, limits, names));
}
inline LimitDecision check(StateWorker& worker, const Limit& limit, const std::string& address = "192.0.2.1",
                           const std::string& route = "GET /limited") {
  return check(worker, std::vector<Limit>{limit}, address, route);
}

// How many of `count` concurrent checks are allowed.
inline int allowed_of(StateWorker& worker, const Limit& limit, int count) {
  const std::vector<std::string> names{"GET /limited"};
  std::vector<std::unique_ptr<Visit>> visits;
  std::vector<Task<LimitDecision>> tasks;
  for (int i = 0; i < count; ++i) {
    visits.push_back(std::make_unique<Visit>(worker));
    tasks.push_back(worker.state->limiter.check(visits.back()->exchange.request, std::span(&limit, 1), names));
    tasks.back().start();
  }
  int allowed = 0;
  for (auto& task : tasks) allowed += worker.finish(task).allowed ? 1 : 0;
  return allowed;
}

}  // namespace pronghorn::test
