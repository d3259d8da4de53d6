// One route made ready to serve: its handler with the middleware of its groups, in the order in which they run.
//
// Context: made once the setup function has returned; read-only afterwards.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "pronghorn/app.h"
#include "worker/routing/app_state.h"

namespace pronghorn::worker {

// After middleware in the order in which it runs.
struct AfterChain {
  std::vector<const Middleware::Function*> functions;  // After or CoroutineAfter
  bool waits = false;                                  // whether any of them is a coroutine
};

// The after middleware of a group and its enclosing groups, innermost first, preceded by `own`.
[[nodiscard]] AfterChain after_chain(const detail::GroupEntry& group, const std::vector<Middleware>& own = {});

class ServedRoute {
 public:
  // `entry` must outlive the route.
  ServedRoute(const detail::RouteEntry& entry, const HttpLimits& limits, std::uint32_t index);

  [[nodiscard]] const detail::RouteEntry& entry() const noexcept { return *entry_; }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }                    // in WorkerRow::routes
  [[nodiscard]] std::uint64_t max_body() const noexcept { return max_body_; }              // bytes; 0: no limit
  [[nodiscard]] std::chrono::milliseconds deadline() const noexcept { return deadline_; }  // 0: none
  [[nodiscard]] const AfterChain& afters() const noexcept { return afters_; }
  // The names of the limits in Redis, in the order of entry().limits.
  [[nodiscard]] const std::vector<std::string>& limit_names() const noexcept { return limit_names_; }

  // Whether nothing on the way to the response can wait: run_plain() may be called.
  [[nodiscard]] bool plain() const noexcept { return plain_; }
  [[nodiscard]] Response run_plain(Request& request) const;

  // Runs guards, wraps and the handler. The request must outlive the task.
  [[nodiscard]] Task<Response> run(Request& request) const;

 private:
  friend struct ChainLink;
  [[nodiscard]] Task<Response> run_from(std::size_t position, Request& request) const;

  const detail::RouteEntry* entry_;
  std::uint32_t index_;
  std::uint64_t max_body_;
  std::chrono::milliseconds deadline_;
  std::unique_ptr<Middleware::Function> idempotent_;  // of an idempotent() route: the innermost wrap
  std::unique_ptr<Middleware::Function> cached_;      // of a cached() route: the same
  std::unique_ptr<Middleware::Function> changes_;     // of a route that changes what one of these answers: the same
  std::vector<const Middleware::Function*> before_;   // guards and wraps, outermost first
  AfterChain afters_;
  std::vector<std::string> limit_names_;
  bool plain_;
};

}  // namespace pronghorn::worker
