#include "common/ipc/quarantine_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace pronghorn {
namespace {

bool is_field(std::string_view text, std::size_t most) noexcept {
  return !text.empty() && text.size() <= most && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

// Removes and returns the text before the next blank.
std::string_view next_field(std::string_view& rest) noexcept {
  const std::size_t end = std::min(rest.find(' '), rest.size());
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return field;
}

template <class Number>
std::optional<Number> next_number(std::string_view& rest) noexcept {
  const std::string_view field = next_field(rest);
  Number number = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (error != std::errc() || end != field.data() + field.size()) return std::nullopt;
  return number;
}

}  // namespace

bool QuarantinedRequest::is_id(std::string_view text) noexcept {
  return text.size() == kIdSize &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string to_text(const QuarantinedRequest& request) {
  return fmt::format("{} {} {} {}", request.id, request.method, request.route, request.shape);
}

std::optional<QuarantinedRequest> parse_quarantined_request(std::string_view text) {
  const std::string_view id = next_field(text);
  const std::string_view method = next_field(text);
  const std::string_view route = next_field(text);
  if (!QuarantinedRequest::is_id(id) || !is_field(method, QuarantinedRequest::kMaxMethod) ||
      !is_field(route, QuarantinedRequest::kMaxRoute) || !is_field(text, QuarantinedRequest::kMaxShape)) {
    return std::nullopt;
  }
  return QuarantinedRequest{std::string(id), std::string(method), std::string(route), std::string(text)};
}

std::string to_text(const QuarantineNotice& notice) {
  return fmt::format("{} {} {}", notice.since_at, notice.kills, to_text(notice.request));
}

std::optional<QuarantineNotice> parse_quarantine_notice(std::string_view text) {
  const auto since_at = next_number<std::uint32_t>(text);
  const auto kills = next_number<std::uint32_t>(text);
  auto request = parse_quarantined_request(text);
  if (!since_at || !kills || !request) return std::nullopt;
  return QuarantineNotice{std::move(*request), *since_at, *kills};
}

std::vector<QuarantineEntry> quarantine_entries(const QuarantineTable& table, std::uint64_t now_ms) {
  std::vector<QuarantineEntry> entries;
  if (table.count.load() == 0) return entries;
  for (std::size_t i = 0; i < kMaxQuarantined; ++i) {
    const QuarantineRow& row = table.rows[i];
    const std::uint64_t until = row.until_ms.load(std::memory_order_acquire);
    if (until <= now_ms) continue;
    auto request = parse_quarantined_request(row.request.get());
    if (!request) continue;
    entries.push_back({.request = std::move(*request),
                       .row = i,
                       .since_at = row.since_at.load(),
                       .left_ms = until - now_ms,
                       .kills = row.kills.load(),
                       .shared = row.shared.load() != 0,
                       .refused = row.refused.load(std::memory_order_relaxed)});
  }
  return entries;
}

}  // namespace pronghorn
