// What one connection writes into the ledger while it is served.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/net/ledger.h"

namespace pronghorn::worker {

// A member of each ByteStream. The stream notes what it reads and writes, the protocol which requests begin and end.
// Positions are those of the ledger. Does nothing for a connection without an entry: there is no ledger, the ledger is
// full, or the connection is in memory.
//
// A write is noted before it begins: first its bytes, then, with one store, that they are the output. The guardian asks
// the kernel how much of it was written.
//
// Context: loop thread.
class LedgerNotes {
 public:
  // `entry` is null for a connection without one, which still reads into the ledger's buffer. Requests before the
  // position `answered` have their responses, which were sent or are kept in the entry.
  void begin(Ledger& ledger, LedgerEntry* entry, std::uint64_t answered) noexcept;
  // Null: the connection has none.
  [[nodiscard]] LedgerEntry* entry() const noexcept { return entry_; }
  // Call before the descriptor is closed or given away.
  void end() noexcept;

  // --- The stream ---------------------------------------------------------------------------------------------------

  void begin_read() noexcept {
    if (ledger_ != nullptr) ledger_->begin_read(entry_);
  }
  void end_read(std::size_t size) noexcept {
    if (entry_ != nullptr) ledger_->end_read(*entry_, size);
  }
  // `first` and `second` are about to be written. `queued`: behind output that still waits.
  void will_write(std::string_view first, std::string_view second, bool queued) noexcept {
    if (entry_ == nullptr) return;
    written_until_ = output_.until + first.size() + second.size();
    held_ = hold(first, second, queued);
    set_output(written_until_);
  }
  // `first` is about to be written, then `size` bytes of `file` from `offset`. Keep `file` open until all_written() or
  // end().
  void will_write_file(std::string_view first, bool queued, int file, std::uint64_t offset,
                       std::uint64_t size) noexcept;
  // The kernel has not taken `rest`, the end of the bytes just written.
  void keep_rest(std::string_view rest) noexcept;
  // The kernel has taken everything.
  void all_written() noexcept {
    if (entry_ == nullptr) return;
    entry_->sent.store(output_.until, kRelease);
    if (keeps_output_) discard_output();
  }

  // --- The protocol -------------------------------------------------------------------------------------------------

  // Position of the next byte to parse.
  [[nodiscard]] std::uint64_t consumed() const noexcept { return consumed_; }
  // A request begins; its head is the next `size` bytes. Call before anything is done for it. `requests`: how many the
  // connection has had, including this one.
  void begin_request(std::size_t size, std::uint32_t requests) noexcept {
    if (entry_ != nullptr) {
      entry_->requests.store(requests, std::memory_order_relaxed);
      entry_->dispatched.store(consumed_ + 1, kRelease);
    }
    consumed_ += size;
  }
  // When the request began, by the steady clock.
  void begun_at(std::chrono::steady_clock::time_point time) noexcept {
    const auto ns = static_cast<std::uint64_t>(time.time_since_epoch().count());
    if (entry_ != nullptr) entry_->begun_ns.store(ns, std::memory_order_relaxed);
  }
  // The next `size` bytes of the client have been processed.
  void consume(std::size_t size) noexcept { consumed_ += size; }
  // A response begins whose end is not known yet. It follows `gathered` bytes that are not written yet.
  void begin_response(std::size_t gathered) noexcept {
    if (entry_ != nullptr) unfinished_from_ = output_.until + gathered;
  }
  // What has been written, or is written next, answers everything consumed so far.
  void end_request() noexcept {
    answerable_ = consumed_;
    unfinished_from_ = UINT64_MAX;
  }
  // The connection ends after the response to the request that has begun. Call before end_request().
  void ends_with_request() noexcept {
    if (entry_ != nullptr) entry_->ends_at.store(answerable_ + 1, kRelease);
  }
  // How many more bytes may be read from the client so that all unanswered ones can still be kept.
  [[nodiscard]] std::size_t room() const noexcept {
    if (entry_ == nullptr) return Ledger::kMaxUnanswered;
    const std::uint64_t unanswered = entry_->read.load(std::memory_order_relaxed) - output_.answers_until;
    return Ledger::kMaxUnanswered - std::min<std::uint64_t>(Ledger::kMaxUnanswered, unanswered);
  }
  // Keeps the unanswered part of `bytes`, the last ones read. Call after processing them, and before processing bytes
  // that had to wait.
  void keep(std::string_view bytes) noexcept {
    if (entry_ != nullptr && answerable_ != entry_->read.load(std::memory_order_relaxed)) keep_unanswered(bytes);
  }
  // Drops kept bytes that are answered by now. Call after every event. `all_sent`: nothing waits to be written.
  void settle(bool all_sent) noexcept {
    if (entry_ == nullptr) return;
    if (all_sent && output_.answers_until != answerable_) answer_late();
    KeptBytes& kept = entry_->unanswered;
    if (kept.first_block.load(std::memory_order_relaxed) != 0) ledger_->discard_until(kept, output_.answers_until);
  }

 private:
  static constexpr auto kRelease = std::memory_order_release;

  // The beginning of a response whose end is not known is of no use to another worker.
  [[nodiscard]] bool hold(std::string_view first, std::string_view second, bool queued) noexcept {
    if (output_.until >= unfinished_from_) return false;
    if (queued || first.size() + second.size() > Ledger::kWriteBuffer) return hold_in_blocks(first, second);
    return ledger_->fill_write_buffer(*entry_, output_.until, first, second);
  }
  [[nodiscard]] bool hold_in_blocks(std::string_view first, std::string_view second) noexcept;
  // Output that the ledger does not hold answers its requests only when it has been sent: see answer_late().
  void set_output(std::uint64_t until) noexcept {
    output_.until = until;
    if (held_) {
      output_.answers_until = answerable_;
      output_.answers_end = std::min(until, unfinished_from_);
    }
    entry_->set_output(output_);
  }
  void discard_output() noexcept;
  void keep_unanswered(std::string_view bytes) noexcept;
  void answer_late() noexcept;

  Ledger* ledger_ = nullptr;
  LedgerEntry* entry_ = nullptr;
  LedgerOutput output_;           // what the entry has
  std::uint64_t consumed_ = 0;    // bytes of the client that were parsed
  std::uint64_t answerable_ = 0;  // requests up to here are answered, perhaps by bytes that are not written yet
  std::uint64_t unfinished_from_ = UINT64_MAX;  // where the response whose end is not known begins
  std::uint64_t written_until_ = 0;             // end of the bytes from memory that were noted last
  bool held_ = false;                           // the ledger has them
  bool keeps_output_ = false;                   // blocks or a file are noted
};

}  // namespace pronghorn::worker
