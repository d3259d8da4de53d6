// What travels through a channel of Redis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// An event's place in the history of its topic. Offsets count from 1. The epoch is random; a new one begins when Redis
// has lost the history, so an id never names two events.
struct Position {
  std::uint64_t epoch = 0;  // 0: there is no history
  std::uint64_t offset = 0;

  [[nodiscard]] explicit operator bool() const noexcept { return epoch != 0; }
  [[nodiscard]] bool operator==(const Position&) const = default;
};

inline constexpr std::uint64_t kMaxOffset = 999'999'999'999'999;  // exact in the numbers of Lua

// "EPOCH-OFFSET": 16 hex digits and a decimal number, the id that clients see.
[[nodiscard]] std::string to_text(const Position& position);
[[nodiscard]] std::string epoch_text(std::uint64_t epoch);
// nullopt if `text` is anything else. An id has an offset of at least 0: the position before the first event.
[[nodiscard]] std::optional<Position> parse_position(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::uint64_t> parse_epoch(std::string_view text) noexcept;
// A decimal number of at most kMaxOffset. nullopt if `text` is anything else.
[[nodiscard]] std::optional<std::uint64_t> parse_offset(std::string_view text) noexcept;

// An event as all its readers of this worker share it.
class SharedEvent {
 public:
  SharedEvent(std::string payload, Position position) : payload_(std::move(payload)), position_(position) {}

  [[nodiscard]] const std::string& payload() const noexcept { return payload_; }
  [[nodiscard]] const Position& position() const noexcept { return position_; }
  // The event as text for EventSource, made once.
  [[nodiscard]] const std::string& sse_text() const;

 private:
  std::string payload_;
  Position position_;
  mutable std::string sse_text_;
};
using EventPtr = std::shared_ptr<const SharedEvent>;  // kept by the queues of the readers that have yet to take it

// The message for an event without a history. One with a history is "k", its id, a line feed and the payload; the
// script of history.cpp makes it.
[[nodiscard]] std::string plain_message(std::string_view payload);
// Null if `message` is not one of ours: other programs may publish in the channel.
[[nodiscard]] EventPtr parse_message(std::string_view message);

}  // namespace pronghorn::worker
