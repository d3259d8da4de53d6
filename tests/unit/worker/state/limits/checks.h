// Checks of a limit by one client.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "unit/worker/state/state_worker.h"

namespace pronghorn::test {

using worker::LimitOutcome;

inline LimitOutcome check(StateWorker& worker, const Limit& limit, const std::string& address = "192.0.2.1",
                          std::string_view name = "GET /limited") {
  Visit visit(worker, "", address);
  return worker.run(worker.state->limiter.check(visit.exchange.request, limit, name));
}

// How many of `count` concurrent checks are allowed.
inline int allowed_of(StateWorker& worker, const Limit& limit, int count) {
  std::vector<std::unique_ptr<Visit>> visits;
  std::vector<Task<LimitOutcome>> tasks;
  for (int i = 0; i < count; ++i) {
    visits.push_back(std::make_unique<Visit>(worker));
    tasks.push_back(worker.state->limiter.check(visits.back()->exchange.request, limit, "GET /limited"));
    tasks.back().start();
  }
  int allowed = 0;
  for (auto& task : tasks) allowed += worker.finish(task).allowed ? 1 : 0;
  return allowed;
}

}  // namespace pronghorn::test
