// What one connection writes into the ledger while it is served.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/net/ledger.h"

namespace pronghorn::worker {

// Member of a ByteStream. The stream notes what it reads and writes, the protocol which requests begin and end; positions
// are those of the ledger. Does nothing for a connection that is not noted: there is no ledger, it is full, or the
// connection is in memory.
//
// Order of stores, because the worker can die between any two. Before a write `sending_until` is stored, then
// `answers_until` and `answers_end`: as long as the kernel has not taken the whole write, its position is not
// `sending_until`, so nobody believes them. After it `answered` and `answered_end` are stored, then `sent`: until then the
// kernel's position still differs from `sent`, which makes a reader take the other two.
//
// Context: loop thread.
class LedgerNotes {
 public:
  // `entry` is null for a connection that is not noted, which reads into the ledger's buffer all the same. Requests up to
  // `answered` are answered.
  void begin(Ledger& ledger, LedgerEntry* entry, std::uint64_t answered) noexcept;
  // Null: the connection is not noted.
  [[nodiscard]] LedgerEntry* entry() const noexcept { return entry_; }
  // The descriptor is about to be closed, or belongs to somebody else.
  void end() noexcept;

  // --- The stream ---------------------------------------------------------------------------------------------------

  void begin_read() noexcept {
    if (ledger_ != nullptr) ledger_->begin_read(entry_);
  }
  void end_read(std::size_t size) noexcept {
    if (entry_ != nullptr) ledger_->end_read(*entry_, size);
  }
  // `size` bytes are about to be written or queued, behind those that were.
  void will_write(std::uint64_t size) noexcept {
    if (entry_ == nullptr) return;
    const std::uint64_t until = entry_->sending_until.load(std::memory_order_relaxed) + size;
    entry_->sending_until.store(until, kRelease);
    entry_->answers_until.store(answerable_, kRelease);
    entry_->answers_end.store(std::min(until, unfinished_from_), kRelease);
  }
  // The kernel has taken everything.
  void all_written() noexcept {
    if (entry_ == nullptr) return;
    entry_->answered.store(entry_->answers_until.load(std::memory_order_relaxed), kRelease);
    entry_->answered_end.store(entry_->answers_end.load(std::memory_order_relaxed), kRelease);
    entry_->sent.store(entry_->sending_until.load(std::memory_order_relaxed), kRelease);
  }

  // --- The protocol -------------------------------------------------------------------------------------------------

  // Position of the next byte to parse.
  [[nodiscard]] std::uint64_t consumed() const noexcept { return consumed_; }
  // A request begins, whose head is the next `size` bytes. To be called before anything is done for it.
  void begin_request(std::size_t size, std::uint32_t requests) noexcept {
    if (entry_ != nullptr) {
      entry_->requests.store(requests, std::memory_order_relaxed);
      entry_->dispatched.store(consumed_ + 1, kRelease);
    }
    consumed_ += size;
  }
  // The next `size` bytes of the client have been dealt with.
  void consume(std::size_t size) noexcept { consumed_ += size; }
  // The response to the request that has begun comes next, behind `gathered` bytes that are not written yet.
  void begin_response(std::size_t gathered) noexcept {
    if (entry_ != nullptr) unfinished_from_ = entry_->sending_until.load(std::memory_order_relaxed) + gathered;
  }
  // Everything consumed so far is answered by what has been written, or is written next.
  void end_request() noexcept {
    answerable_ = consumed_;
    unfinished_from_ = UINT64_MAX;
  }
  // The connection ends after the response to the request that has begun.
  void ends_with_request() noexcept {
    if (entry_ != nullptr) entry_->ends_at.store(answerable_ + 1, kRelease);
  }
  // To be called after `bytes`, the last ones read, have been worked on: keeps those of them that are not answered.
  void keep(std::string_view bytes) noexcept {
    if (entry_ != nullptr && answerable_ != entry_->read.load(std::memory_order_relaxed)) keep_unanswered(bytes);
  }
  // To be called after whatever happened. `all_sent`: nothing waits to be written.
  void settle(bool all_sent) noexcept {
    if (entry_ == nullptr) return;
    if (entry_->answers_until.load(std::memory_order_relaxed) != answerable_) answer_late(all_sent);
    if (entry_->saved.load(std::memory_order_relaxed) != 0) discard_answered();
  }

 private:
  static constexpr auto kRelease = std::memory_order_release;

  void keep_unanswered(std::string_view bytes) noexcept;
  void answer_late(bool all_sent) noexcept;
  void discard_answered() noexcept;

  Ledger* ledger_ = nullptr;
  LedgerEntry* entry_ = nullptr;
  std::uint64_t consumed_ = 0;    // bytes of the client that were parsed
  std::uint64_t answerable_ = 0;  // requests up to here are answered, perhaps by bytes that are not written yet
  std::uint64_t unfinished_from_ = UINT64_MAX;  // where the response that is being made begins
};

}  // namespace pronghorn::worker
