// What the ledger notes of a WebSocket beside what it notes of every connection: its state, and its place in each of
// its topics.
//
// A note is a chain of cells: bytes of state that nobody here looks into, and marks. The chain is not changed, but for
// its marks: another note replaces it, with one store. Notes and marks may count with the next output only. Then they
// are in place before that output is noted, and one store makes both true. So of a death at any moment follows neither
// a gap nor a duplicate: a place counts exactly if the frame that leads to it is sent, by this worker or by the next.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace pronghorn::worker {

inline constexpr std::size_t kMaxSocketState = 16 * 1024;
inline constexpr std::size_t kMaxMarks = 64;

// Up to where a client has the events of a topic.
struct LedgerMark {
  std::uint64_t epoch = 0;
  std::uint64_t offset = 0;
  friend bool operator==(const LedgerMark&, const LedgerMark&) = default;
};

enum class Counts : std::uint8_t {
  now,
  with_output,  // once the next output is noted
};

// How far the close handler has got.
enum class SocketClose : std::uint8_t {
  no,
  due,    // a dead worker had begun it
  begun,  // this worker has
  done,   // what is left is to send the output
};

// From which position of the output on a note counts, and which of two notes is the later one. 0: there is no note.
class NoteKey {
 public:
  constexpr NoteKey(std::uint64_t value) noexcept : value_(value) {}
  [[nodiscard]] static constexpr NoteKey after(NoteKey last, std::uint64_t position) noexcept {
    return position << 8U | ((last.value_ + 1) & 0xffU);
  }
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }
  [[nodiscard]] constexpr bool counts_at(std::uint64_t until) const noexcept {
    return value_ != 0 && (value_ >> 8U) <= until;
  }
  [[nodiscard]] constexpr bool is_later_than(NoteKey other) const noexcept {
    if (value_ >> 8U != other.value_ >> 8U) return value_ > other.value_;
    return static_cast<std::int8_t>(value_ - other.value_) > 0;
  }

 private:
  std::uint64_t value_;
};

inline constexpr std::uint64_t kAnyOutput = std::numeric_limits<std::uint64_t>::max();

// Which of two slots with a `key` counts when the output ends at `until`; -1: neither.
template <class Slot>
[[nodiscard]] int slot_at(const std::array<Slot, 2>& slots, std::uint64_t until) noexcept {
  const NoteKey first(slots[0].key.load(std::memory_order_relaxed));
  const NoteKey second(slots[1].key.load(std::memory_order_relaxed));
  if (!first.counts_at(until)) return second.counts_at(until) ? 1 : -1;
  return second.counts_at(until) && second.is_later_than(first) ? 1 : 0;
}

// Where a note is, in shared memory. Zeroed memory is none.
struct LedgerNote {
  std::atomic<std::uint64_t> key;         // a NoteKey
  std::atomic<std::uint32_t> first_cell;  // index + 1
};

// What a reader finds.
struct SocketNote {
  std::string_view state;
  std::size_t marks = 0;
};

}  // namespace pronghorn::worker
