#include "worker/exchange/deadline.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace pronghorn::worker {
namespace {

// Removes up to `most` digits from the front of `text`.
std::string_view take_digits(std::string_view& text, std::size_t most) noexcept {
  std::size_t size = 0;
  while (size < std::min(most, text.size()) && text[size] >= '0' && text[size] <= '9') ++size;
  const std::string_view digits = text.substr(0, size);
  text.remove_prefix(size);
  return digits;
}

}  // namespace

std::optional<std::chrono::nanoseconds> parse_seconds(std::string_view text) noexcept {
  constexpr std::size_t kFractionDigits = 9;
  constexpr std::int64_t kMostSeconds = 9'000'000'000;
  std::int64_t seconds = 0;
  const std::string_view whole = take_digits(text, 10);
  for (const char digit : whole) seconds = seconds * 10 + (digit - '0');
  if (whole.empty() || seconds > kMostSeconds) return std::nullopt;
  std::int64_t nanoseconds = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::string_view fraction = take_digits(text, kFractionDigits);
    if (fraction.empty()) return std::nullopt;
    for (const char digit : fraction) nanoseconds = nanoseconds * 10 + (digit - '0');
    for (std::size_t i = fraction.size(); i < kFractionDigits; ++i) nanoseconds *= 10;
  }
  if (!text.empty()) return std::nullopt;
  return std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds);
}

bool shorten_deadline(Exchange& exchange) noexcept {
  const auto limit_to = [&exchange](std::chrono::steady_clock::time_point deadline) {
    exchange.deadline = std::min(exchange.deadline, deadline);
  };
  bool set = false;
  if (const auto field = exchange.head.find("request-timeout")) {
    if (const auto timeout = parse_seconds(*field)) {
      set = true;
      const bool waited = exchange.pressed && exchange.waited.has_value();
      limit_to(exchange.started + *timeout - (waited ? *exchange.waited : std::chrono::steady_clock::duration{}));
    }
  }
  if (const auto field = exchange.head.find("x-request-deadline")) {
    if (const auto at = parse_seconds(*field)) {
      set = true;
      limit_to(exchange.started + (*at - std::chrono::system_clock::now().time_since_epoch()));
    }
  }
  return set && exchange.deadline <= exchange.started;
}

}  // namespace pronghorn::worker
