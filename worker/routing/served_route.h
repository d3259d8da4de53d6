// One route made ready to serve: its handler with the middleware of its groups, in the order in which they run.
//
// Context: made once the setup function has returned; then read only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "pronghorn/app.h"
#include "worker/routing/app_state.h"

namespace pronghorn::worker {

class ServedRoute {
 public:
  // `entry` outlives the route.
  ServedRoute(const detail::RouteEntry& entry, const HttpLimits& limits, std::uint32_t index);

  [[nodiscard]] const detail::RouteEntry& entry() const noexcept { return *entry_; }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }                    // in WorkerRow::routes
  [[nodiscard]] std::uint64_t max_body() const noexcept { return max_body_; }              // bytes; 0: no limit
  [[nodiscard]] std::chrono::milliseconds deadline() const noexcept { return deadline_; }  // 0: none
  [[nodiscard]] const std::vector<const After*>& afters() const noexcept { return afters_; }
  // Names the limits in Redis, in the order of entry().limits.
  [[nodiscard]] const std::vector<std::string>& limit_names() const noexcept { return limit_names_; }

  // Whether nothing of it can wait: run_plain() may be called.
  [[nodiscard]] bool plain() const noexcept { return plain_; }
  [[nodiscard]] Response run_plain(Request& request) const;

  // The middleware and the handler. The request outlives the task.
  [[nodiscard]] Task<Response> run(Request& request) const;

 private:
  friend struct ChainLink;
  [[nodiscard]] Task<Response> run_from(std::size_t position, Request& request) const;

  const detail::RouteEntry* entry_;
  std::uint32_t index_;
  std::uint64_t max_body_;
  std::chrono::milliseconds deadline_;
  std::vector<const Middleware*> before_;  // guards and wraps, outermost first
  std::vector<const After*> afters_;       // innermost first
  std::vector<std::string> limit_names_;
  bool plain_;
};

// The After middleware of a group and of those around it, innermost first.
[[nodiscard]] std::vector<const After*> afters_of(const detail::GroupEntry& group);

}  // namespace pronghorn::worker
