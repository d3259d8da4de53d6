#include "worker/state/limits/limit_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

namespace pronghorn::worker {
namespace {

std::string policies(const std::vector<LimitOutcome>& outcomes) {
  std::string text;
  for (const LimitOutcome& each : outcomes) {
    fmt::format_to(std::back_inserter(text), "{}\"{}\";q={}", text.empty() ? "" : ", ", each.name, each.count);
    if (each.concurrent) {
      text += ";qu=\"concurrent-requests\"";
    } else {
      fmt::format_to(std::back_inserter(text), ";w={}", each.window.count());
    }
  }
  return text;
}

std::string service_limits(const std::vector<LimitOutcome>& outcomes) {
  std::string text;
  for (const LimitOutcome& each : outcomes) {
    if (!each.known) continue;
    fmt::format_to(std::back_inserter(text), "{}\"{}\";r={}", text.empty() ? "" : ", ", each.name, each.remaining);
    if (each.reset) fmt::format_to(std::back_inserter(text), ";t={}", each.reset->count());
  }
  return text;
}

// A refusing limit, else the one that leaves the fewest requests.
const LimitOutcome& tightest(const std::vector<LimitOutcome>& outcomes) {
  return *std::ranges::min_element(outcomes, [](const LimitOutcome& a, const LimitOutcome& b) {
    if (a.allowed != b.allowed) return !a.allowed;
    return a.known != b.known ? a.known : a.remaining < b.remaining;
  });
}

}  // namespace

void add_limit_fields(Response& response, const LimitDecision& decision, LimitFieldStyle style) {
  if (decision.outcomes.empty()) return;
  if (style != LimitFieldStyle::legacy) {
    response.set("RateLimit-Policy", policies(decision.outcomes));
    response.set("RateLimit", service_limits(decision.outcomes));
  }
  if (style != LimitFieldStyle::draft) {
    const LimitOutcome& shown = tightest(decision.outcomes);
    response.set("RateLimit-Limit", std::to_string(shown.count));
    response.set("RateLimit-Remaining", std::to_string(shown.remaining));
    response.set("RateLimit-Reset", std::to_string(shown.reset.value_or(decision.retry_after).count()));
  }
}

ErrorAnswer limit_refusal(const LimitDecision& decision) {
  const auto seconds = decision.retry_after.count();
  return {.status = decision.status,
          .detail = decision.status == 429
                        ? fmt::format("too many requests; try again in {} second{}", seconds, seconds == 1 ? "" : "s")
                        : "the rate limit of this route cannot be checked; try again later",
          .fields = {{"Retry-After", std::to_string(seconds)}}};
}

}  // namespace pronghorn::worker
