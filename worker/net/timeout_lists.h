// Timeouts of connections without a timer for each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pronghorn::worker {

inline constexpr std::uint64_t kTickMs = 250;

enum class Waiting : std::uint8_t {
  for_head,     // header_timeout: from the first byte, or the accept, to the end of the head
  for_body,     // body_timeout: between two reads
  for_handler,  // the request's own deadline, which is checked at each tick (in for_body and for_writes too)
  for_writes,   // write_timeout: without progress
  for_request,  // keep_alive_timeout: idle
  for_end,      // linger timeout: everything was sent, and what the client still sends is dropped
  for_message,  // websocket_ping: a WebSocket that is idle
  count,
  nothing = count,
};

// Base class of a connection. It is in one list at a time.
class TimeoutEntry {
 public:
  TimeoutEntry() = default;
  TimeoutEntry(const TimeoutEntry&) = delete;
  TimeoutEntry& operator=(const TimeoutEntry&) = delete;
  [[nodiscard]] Waiting waiting() const noexcept { return waiting_; }

 protected:
  ~TimeoutEntry() = default;

 private:
  friend class TimeoutLists;
  TimeoutEntry* previous_ = nullptr;
  TimeoutEntry* next_ = nullptr;
  std::uint32_t since_ = 0;
  Waiting waiting_ = Waiting::nothing;
};

// One list per kind of wait, in the order in which its entries began to wait. A tick (every kTickMs) looks only at the
// front of each list. Moving an entry to the back takes a few pointers, and happens at most once per tick: a busy
// connection pays next to nothing.
//
// Context: loop thread. Entries must be removed before they are destroyed.
class TimeoutLists {
 public:
  // Begins to wait for `kind` now. Restarts the time if the entry waits for `kind` already.
  void wait(TimeoutEntry& entry, Waiting kind) noexcept {
    const auto now = static_cast<std::uint32_t>(tick_);
    if (entry.waiting_ == kind && entry.since_ == now) return;
    remove(entry);
    entry.waiting_ = kind;
    entry.since_ = now;
    if (kind == Waiting::nothing) return;
    List& list = lists_[static_cast<std::size_t>(kind)];
    entry.previous_ = list.last;
    entry.next_ = nullptr;
    (list.last != nullptr ? list.last->next_ : list.first) = &entry;
    list.last = &entry;
  }
  // Like wait(), but does not restart the time if the entry waits for `kind` already.
  void keep_waiting(TimeoutEntry& entry, Waiting kind) noexcept {
    if (entry.waiting_ != kind) wait(entry, kind);
  }
  void remove(TimeoutEntry& entry) noexcept {
    if (entry.waiting_ == Waiting::nothing) return;
    List& list = lists_[static_cast<std::size_t>(entry.waiting_)];
    (entry.previous_ != nullptr ? entry.previous_->next_ : list.first) = entry.next_;
    (entry.next_ != nullptr ? entry.next_->previous_ : list.last) = entry.previous_;
    entry.previous_ = entry.next_ = nullptr;
    entry.waiting_ = Waiting::nothing;
  }

  void advance(std::uint64_t ticks) noexcept { tick_ += ticks; }
  // Ticks since the lists were made: a clock that costs no system call.
  [[nodiscard]] std::uint64_t now() const noexcept { return tick_; }

  [[nodiscard]] std::uint64_t waited(const TimeoutEntry& entry) const noexcept { return tick_ - entry.since_; }

  // The entry that has waited longest, if that is at least `ticks`; otherwise null.
  [[nodiscard]] TimeoutEntry* expired(Waiting kind, std::uint64_t ticks) const noexcept {
    TimeoutEntry* first = lists_[static_cast<std::size_t>(kind)].first;
    return first != nullptr && first->since_ + ticks <= tick_ ? first : nullptr;
  }
  [[nodiscard]] TimeoutEntry* first(Waiting kind) const noexcept {
    return lists_[static_cast<std::size_t>(kind)].first;
  }
  [[nodiscard]] static TimeoutEntry* after(const TimeoutEntry& entry) noexcept { return entry.next_; }

 private:
  struct List {
    TimeoutEntry* first = nullptr;
    TimeoutEntry* last = nullptr;
  };
  std::array<List, static_cast<std::size_t>(Waiting::count)> lists_{};
  std::uint64_t tick_ = 0;
};

}  // namespace pronghorn::worker
