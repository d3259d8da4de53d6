#include "worker/state/limits/limit_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kTypicalLimit = 64;  // bytes of a limit in one of the fields

// Every response of a limited route has these fields, and fmt would take most of the time to make them.
void append_number(std::string& text, std::int64_t number) {
  std::array<char, 20> digits;
  text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

void append_name(std::string& text, const LimitOutcome& outcome) {
  text.append(text.empty() ? "\"" : ", \"").append(outcome.name).append("\"");
}

std::string policies(const std::vector<LimitOutcome>& outcomes) {
  std::string text;
  text.reserve(kTypicalLimit * outcomes.size());
  for (const LimitOutcome& each : outcomes) {
    append_name(text, each);
    text += ";q=";
    append_number(text, each.count);
    if (each.concurrent) {
      text += ";qu=\"concurrent-requests\"";
    } else {
      text += ";w=";
      append_number(text, each.window.count());
    }
  }
  return text;
}

std::string service_limits(const std::vector<LimitOutcome>& outcomes) {
  std::string text;
  text.reserve(kTypicalLimit * outcomes.size());
  for (const LimitOutcome& each : outcomes) {
    if (!each.known) continue;
    append_name(text, each);
    text += ";r=";
    append_number(text, each.remaining);
    if (!each.reset) continue;
    text += ";t=";
    append_number(text, each.reset->count());
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
