#include "worker/state/events/messages/event_message.h"

#include <fmt/format.h>

#include <charconv>

#include "worker/http/event_text.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kEpochDigits = 16;
constexpr std::size_t kMaxOffsetDigits = 15;

}  // namespace

std::string epoch_text(std::uint64_t epoch) { return fmt::format("{:016x}", epoch); }

std::string to_text(const Position& position) { return fmt::format("{:016x}-{}", position.epoch, position.offset); }

std::optional<std::uint64_t> parse_epoch(std::string_view text) noexcept {
  // Only what epoch_text() makes: two texts of one epoch would be two epochs in Redis.
  if (text.size() != kEpochDigits || text.find_first_of("ABCDEF") != std::string_view::npos) return std::nullopt;
  std::uint64_t epoch = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), epoch, 16);
  if (error != std::errc{} || end != text.data() + text.size() || epoch == 0) return std::nullopt;
  return epoch;
}

std::optional<Position> parse_position(std::string_view text) noexcept {
  if (text.size() < kEpochDigits + 2 || text[kEpochDigits] != '-') return std::nullopt;
  const auto epoch = parse_epoch(text.substr(0, kEpochDigits));
  const auto offset = parse_offset(text.substr(kEpochDigits + 1));
  if (!epoch || !offset) return std::nullopt;
  return Position{*epoch, *offset};
}

std::optional<std::uint64_t> parse_offset(std::string_view text) noexcept {
  std::uint64_t offset = 0;
  if (text.size() > kMaxOffsetDigits) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return offset;
}

// EventSource does not dispatch an event without data: the type makes event_text() write an empty line of it.
const std::string& SharedEvent::sse_text() const {
  if (sse_text_.empty()) {
    const std::string id = position_ ? to_text(position_) : std::string();
    sse_text_ = event_text({.event = payload_.empty() ? "message" : "", .data = payload_, .id = id});
  }
  return sse_text_;
}

std::string plain_message(std::string_view payload) {
  std::string message;
  message.reserve(1 + payload.size());
  return message.append("p").append(payload);
}

EventPtr parse_message(std::string_view message) {
  if (message.starts_with('p')) return std::make_shared<SharedEvent>(std::string(message.substr(1)), Position());
  if (!message.starts_with('k')) return nullptr;
  message.remove_prefix(1);
  const std::size_t end = message.substr(0, kEpochDigits + 1 + kMaxOffsetDigits + 1).find('\n');
  if (end == std::string_view::npos) return nullptr;
  const auto position = parse_position(message.substr(0, end));
  if (!position || position->offset == 0) return nullptr;
  return std::make_shared<SharedEvent>(std::string(message.substr(end + 1)), *position);
}

}  // namespace pronghorn::worker
