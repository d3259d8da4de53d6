// What one connection writes into the ledger while it is served.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "worker/net/ledger/ledger.h"

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
  // For a stream below another one, whose notes have the entry: notes what is read. `upper` must outlive this. Call it
  // after begin(), without an entry.
  void read_for(LedgerNotes& upper) noexcept {
    is_below_ = true;
    upper_ = &upper;
  }

  // --- The stream ---------------------------------------------------------------------------------------------------

  void begin_read() noexcept {
    if (entry_ != nullptr) return ledger_->begin_read(entry_);
    begin_other_read();
  }
  void end_read(std::size_t size) noexcept {
    if (entry_ != nullptr) return ledger_->end_read(*entry_, size);
    end_other_read(size);
  }
  // `first` and `second` are about to be written. `queued`: behind output that still waits.
  void will_write(std::string_view first, std::string_view second, bool queued) noexcept {
    if (entry_ == nullptr) return;
    held_ = hold(first, second, queued);
    set_output(until_ + first.size() + second.size());
  }
  // `first` is about to be written, then `size` bytes of `file` from `offset`. Keep `file` open until all_written() or
  // end().
  void will_write_file(std::string_view first, bool queued, int file, std::uint64_t offset,
                       std::uint64_t size) noexcept;
  // The kernel has not taken `rest`, the end of the bytes just written.
  void keep_rest(std::string_view rest) noexcept;
  // The kernel has taken all bytes before this position, and more wait.
  void written(std::uint64_t position) noexcept {
    if (entry_ == nullptr) return;
    entry_->sent.store(position, kRelease);
    ledger_->discard_until(entry_->unsent, position);
  }
  // The kernel has taken everything.
  void all_written() noexcept {
    if (entry_ == nullptr) return;
    entry_->sent.store(until_, kRelease);
    if (keeps_output_) discard_output();
  }

  // Of a stream that the kernel encrypts. The record with this number is written next; it ends at `position`.
  void will_write_record(std::uint64_t record, std::uint64_t position) noexcept {
    if (entry_ != nullptr) ledger_->extra(*entry_).records.will_write(record, position);
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
    if (entry_ != nullptr) unfinished_from_ = until_ + gathered;
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
    if (entry_ == nullptr) return other_room();
    const std::uint64_t unanswered = entry_->read.load(std::memory_order_relaxed) - answers_until_;
    return Ledger::kMaxUnanswered - std::min<std::uint64_t>(Ledger::kMaxUnanswered, unanswered);
  }
  // Keeps the unanswered part of `bytes`, the last ones read. Call after processing them, and before processing bytes
  // that had to wait.
  void keep(std::string_view bytes) noexcept {
    if (entry_ != nullptr && answerable_ != entry_->read.load(std::memory_order_relaxed)) {
      keep_unanswered(bytes, Ledger::kMaxUnanswered);
    }
  }

  // --- The protocol, of a WebSocket ---------------------------------------------------------------------------------
  //
  // Positions of messages are those of the client's bytes: of the first byte of the first frame. Each write is of whole
  // frames.

  // The response that makes a WebSocket of the connection is about to be written: call before end_request(). If this
  // worker dies before that response is noted, the request is as any other. The rest is as keep_state() does it.
  bool upgrade(std::string_view state, std::span<const LedgerMark> marks = {}) noexcept;
  // What another worker needs to go on: up to kMaxSocketState bytes that only the protocol understands. They replace
  // those before. False if they cannot be kept: until a later call the connection does not survive.
  bool keep_state(std::string_view state, Counts counts = Counts::now) noexcept {
    return entry_ != nullptr && ledger_->note_socket(*entry_, state, nullptr, counts);
  }
  // The same, and up to kMaxMarks marks in place of those before. When some of those before wait for the next output,
  // all of this does: `marks` may have what they were set to.
  bool keep_state(std::string_view state, std::span<const LedgerMark> marks, Counts counts = Counts::now) noexcept {
    return entry_ != nullptr && ledger_->note_socket(*entry_, state, &marks, counts);
  }
  // The next write has an event of the topic, and brings the client there.
  void mark(std::size_t index, const LedgerMark& mark) noexcept {
    if (entry_ != nullptr) ledger_->mark(*entry_, index, mark, Counts::with_output);
  }
  // The client is there without a write; behind events that wait to be written, once they are.
  void mark_now(std::size_t index, const LedgerMark& mark) noexcept {
    if (entry_ != nullptr) ledger_->mark(*entry_, index, mark, Counts::now);
  }
  // The message that begins there is about to be handled.
  void begin_message(std::uint64_t position) noexcept {
    if (entry_ != nullptr) entry_->dispatched.store(position + 1, kRelease);
  }
  // Everything before is handled. Noted with the next write, which may have the reply, or by settle_messages().
  void end_messages(std::uint64_t position) noexcept { answerable_ = position; }
  // Like keep(): call for the bytes of each read. All of them are kept, if the ledger has room.
  void keep_messages(std::string_view bytes) noexcept {
    if (entry_ != nullptr && answers_until_ != entry_->read.load(std::memory_order_relaxed)) {
      keep_unanswered(bytes, std::numeric_limits<std::size_t>::max());
    }
  }
  // Whether another worker would get everything that was read and not handled yet.
  [[nodiscard]] bool keeps_all_messages() const noexcept;
  // Like settle(). Call after every event, when nothing that was made waits to be given to the stream.
  void settle_messages() noexcept;
  // The close handler is about to run. What was not handled until now is not needed any more.
  void begin_close() noexcept {
    if (entry_ != nullptr) entry_->socket_close.store(SocketClose::begun, kRelease);
  }
  // It has run. Once the output has left, the connection ends with this worker.
  void end_close() noexcept {
    if (entry_ != nullptr) entry_->socket_close.store(SocketClose::done, kRelease);
  }

  // --- Both ---------------------------------------------------------------------------------------------------------

  // Drops kept bytes that are answered by now. Call after every event. `all_sent`: nothing waits to be written.
  void settle(bool all_sent) noexcept {
    if (entry_ == nullptr) return;
    if (all_sent && answers_until_ != answerable_) answer_late();
    KeptBytes& kept = entry_->unanswered;
    if (kept.first_block.load(std::memory_order_relaxed) != 0) ledger_->discard_until(kept, answers_until_);
  }

 private:
  static constexpr auto kRelease = std::memory_order_release;

  // The beginning of a response whose end is not known is of no use to another worker.
  [[nodiscard]] bool hold(std::string_view first, std::string_view second, bool queued) noexcept {
    if (until_ >= unfinished_from_) return false;
    if (queued || first.size() + second.size() > Ledger::kWriteBuffer) return hold_in_blocks(first, second);
    return ledger_->fill_write_buffer(*entry_, until_, first, second);
  }
  [[nodiscard]] bool hold_in_blocks(std::string_view first, std::string_view second) noexcept;
  // Output that the ledger does not hold answers its requests only when it has been sent: see answer_late().
  void set_output(std::uint64_t until) noexcept {
    until_ = until;
    if (!held_) return prolong_output();
    answers_until_ = answerable_;
    entry_->set_output(
        {.until = until, .answers_until = answerable_, .answers_end = std::min(until, unfinished_from_)});
  }
  // Without an entry: for the stream above, if there is one. Not inline: connections with an entry pay nothing for it.
  void begin_other_read() noexcept;
  void end_other_read(std::size_t size) noexcept;
  [[nodiscard]] std::size_t other_room() const noexcept;
  void prolong_output() noexcept;
  [[nodiscard]] std::uint64_t memory_until() const noexcept;
  void discard_output() noexcept;
  void keep_unanswered(std::string_view bytes, std::size_t most) noexcept;
  void answer_late() noexcept;

  union {
    Ledger* ledger_ = nullptr;
    LedgerNotes* upper_;  // if is_below_: see read_for()
  };
  LedgerEntry* entry_ = nullptr;
  std::uint64_t until_ = 0;          // of the output, as the entry has it
  std::uint64_t answers_until_ = 0;  // the same
  std::uint64_t consumed_ = 0;       // bytes of the client that were parsed
  std::uint64_t answerable_ = 0;     // requests up to here are answered, perhaps by bytes that are not written yet
  std::uint64_t unfinished_from_ = UINT64_MAX;  // where the response whose end is not known begins
  bool held_ = false;                           // the ledger has the bytes that were noted last
  bool keeps_output_ = false;                   // blocks or a file are noted
  bool is_below_ = false;
};

}  // namespace pronghorn::worker
