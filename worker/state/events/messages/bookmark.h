// Where one reader of a topic is, and what it has missed.
#pragma once

#include <cstdint>
#include <string_view>

#include "worker/state/events/messages/event_message.h"

namespace pronghorn::worker {

// Why events may have been missed.
enum class Gap : std::uint8_t { none, interrupted, lost, expired, slow };
[[nodiscard]] std::string_view to_text(Gap gap) noexcept;

struct HistoryPage;

// Says where a reader begins; after begin(), the position after which it continues. No I/O.
class Bookmark {
 public:
  // Begins with the next event.
  Bookmark() noexcept = default;
  // Text from a client. "EPOCH-OFFSET": after that event. A decimal number: after the event with that offset in the
  // topic's current epoch, so "0" is all that is kept. Empty: as above. Anything else: a gap, and then as above.
  explicit Bookmark(std::string_view after) noexcept;
  // After an event that has been seen, as an earlier bookmark knew it. Without an epoch: the topic had no history then,
  // so all events of a history that has begun since are missing.
  explicit Bookmark(const Position& seen) noexcept : kind_(Kind::seen), position_(seen) {}

  struct Start {
    Gap gap = Gap::none;
    bool behind = false;  // continue() has to read the history
  };
  // The topic is at `topic`, whose epoch is 0 if it has no history. Once.
  [[nodiscard]] Start begin(const Position& topic) noexcept;
  // `page` is what the history has after position(). Moves to before its first event that is not known yet, and returns
  // what is missing in between.
  [[nodiscard]] Gap turn_to(const HistoryPage& page) noexcept;
  // The event at `position` was given to the reader.
  void pass(const Position& position) noexcept { position_ = position; }

  // Whether the event at `position` was given to the reader already.
  [[nodiscard]] bool has_passed(const Position& position) const noexcept {
    return position.epoch == position_.epoch && position.offset <= position_.offset;
  }
  [[nodiscard]] const Position& position() const noexcept { return position_; }
  // Whether it begins with the next event, as far as it can tell.
  [[nodiscard]] bool begins_with_next() const noexcept { return kind_ == Kind::next || kind_ == Kind::unknown; }
  // Whether position() is known before begin().
  [[nodiscard]] bool is_known() const noexcept { return kind_ == Kind::seen; }

 private:
  enum class Kind : std::uint8_t { next, unknown, seen, offset };

  Kind kind_ = Kind::next;
  Position position_;
};

}  // namespace pronghorn::worker
