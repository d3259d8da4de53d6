#include "worker/routing/routes_listing.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <optional>
#include <vector>

#include "common/text/columns.h"
#include "worker/routing/served_app.h"
#include "worker/state/limits/rate_limiter.h"

namespace pronghorn::worker {

namespace {

std::string duration_text(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms % 3'600'000 == 0) return fmt::format("{}h", ms / 3'600'000);
  if (ms % 60'000 == 0) return fmt::format("{}m", ms / 60'000);
  if (ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
  return fmt::format("{}ms", ms);
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 4> kUnits{"", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", bytes, kUnits[unit]);
}

std::string limits_text(const std::vector<Limit>& limits) {
  std::string text;
  for (const Limit& limit : limits) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} per {}", limit.count, duration_text(limit.window));
    if (limit.algorithm != LimitAlgorithm::fixed_window) text.append(" ").append(algorithm_name(limit.algorithm));
    if (limit.key || limit.key_task) text += " by key";
    if (limit.permits_leased > 1) text += " leased";
    if (limit.never_refuses) text += " shadow";
  }
  return text.empty() ? "-" : text;
}

std::string idempotent_text(const std::optional<IdempotentOptions>& options) {
  if (!options) return "-";
  return duration_text(options->keep) + (options->required ? " required" : "");
}

std::string cached_text(const std::optional<CachedOptions>& options) {
  if (!options) return "-";
  if (options->ttl.count() == 0) return "as it says";  // by the response's Cache-Control alone
  return duration_text(options->ttl) + (options->stale.count() == 0 ? "" : " + " + duration_text(options->stale));
}

const char* name_of(Priority priority) {
  switch (priority) {
    case Priority::background:
      return "background";
    case Priority::normal:
      return "normal";
    case Priority::critical:
      return "critical";
  }
  return "";
}

std::size_t middleware_count(const detail::GroupEntry* group) {
  std::size_t count = 0;
  for (; group != nullptr; group = group->parent) count += group->middleware.size();
  return count;
}

std::vector<std::string> describe(const detail::RouteEntry& route, const HttpLimits& limits) {
  const auto deadline = route.deadline.value_or(limits.request_timeout);
  std::uint64_t max_body = route.max_body.value_or(limits.max_body);
  if (route.socket != nullptr) max_body = route.socket->max_message;
  const bool named = route.name != route.method + " " + route.path;
  return {route.socket != nullptr ? "WEBSOCKET" : route.method,
          route.path,
          limits_text(route.limits),
          deadline.count() == 0 ? "none" : duration_text(deadline),
          max_body == 0 ? "any" : size_text(max_body),
          idempotent_text(route.idempotent),
          cached_text(route.cached),
          name_of(route.priority),
          std::to_string(middleware_count(route.group)),
          named ? route.name : ""};
}

}  // namespace

std::string list_routes(const Config& config, void (*setup)(App&)) {
  const auto state = run_setup(config, setup);
  if (state->routes.empty()) return "The application has no routes.\n";
  std::vector<std::vector<std::string>> rows{
      {"METHOD", "PATH", "LIMIT", "DEADLINE", "MAX BODY", "IDEMPOTENT", "CACHED", "PRIORITY", "MIDDLEWARE", "NAME"}};
  for (const detail::RouteEntry& route : state->routes) rows.push_back(describe(route, config.http));
  return in_columns(rows);
}

}  // namespace pronghorn::worker
