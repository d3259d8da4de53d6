#include "worker/net/ledger/ledger_notes.h"

#include <algorithm>
#include <utility>

#include "worker/net/socket/socket_identity.h"

namespace pronghorn::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void LedgerNotes::begin(Ledger& ledger, LedgerEntry* entry, std::uint64_t answered) noexcept {
  ledger_ = &ledger;
  entry_ = entry;
  consumed_ = answerable_ = answered;
  if (entry == nullptr) return;
  output_ = entry->output();
  keeps_output_ = entry->sent.load(kRelaxed) != output_.until;
}

void LedgerNotes::end() noexcept {
  if (LedgerEntry* const entry = std::exchange(entry_, nullptr)) ledger_->remove(*entry);
}

// The buffer is of no other connection any more.
void LedgerNotes::begin_other_read() noexcept {
  if (upper_ != nullptr && upper_->entry_ != nullptr) return upper_->begin_read();
  if (ledger_ != nullptr) ledger_->begin_read(nullptr);
}

void LedgerNotes::end_other_read(std::size_t size) noexcept {
  if (upper_ != nullptr) upper_->end_read(size);
}

std::size_t LedgerNotes::other_room() const noexcept {
  return upper_ == nullptr ? Ledger::kMaxUnanswered : upper_->room();
}

void LedgerNotes::will_write_file(std::string_view first, bool queued, int file, std::uint64_t offset,
                                  std::uint64_t size) noexcept {
  if (entry_ == nullptr) return;
  written_until_ = output_.until + first.size();
  held_ = hold(first, {}, queued);
  entry_->file_from.store(written_until_, kRelease);
  entry_->file_offset.store(offset, kRelease);
  entry_->file.store(file, kRelease);
  keeps_output_ = true;
  set_output(written_until_ + size);
}

bool LedgerNotes::hold_in_blocks(std::string_view first, std::string_view second) noexcept {
  keeps_output_ = true;
  return ledger_->keep_unsent(*entry_, output_.until, first) &&
         (second.empty() || ledger_->keep_unsent(*entry_, output_.until + first.size(), second));
}

void LedgerNotes::keep_rest(std::string_view rest) noexcept {
  if (entry_ == nullptr || !held_ || entry_->unsent.first_block.load(kRelaxed) != 0)
    return;  // a long write is in blocks already
  keeps_output_ = true;
  static_cast<void>(ledger_->keep_unsent(*entry_, written_until_ - rest.size(), rest));
}

void LedgerNotes::discard_output() noexcept {
  keeps_output_ = false;
  ledger_->discard(entry_->unsent);
  entry_->file.store(-1, kRelease);
}

// Kept bytes follow on each other from a request that is not answered. When some are missing (the ledger was full, or a
// request is longer than `most`), no more are kept until that is answered: without them the connection does not
// survive. Of a request that is too long, the beginning is kept.
void LedgerNotes::keep_unanswered(std::string_view bytes, std::size_t most) noexcept {
  KeptBytes& kept = entry_->unanswered;
  const std::uint64_t end = entry_->read.load(kRelaxed);
  const std::uint64_t begin = end - bytes.size();
  const std::uint64_t answered = output_.answers_until;
  ledger_->discard_until(kept, answered);
  const bool empty = kept.first_block.load(kRelaxed) == 0;
  if (empty && begin > answered) return;
  const std::uint64_t from = empty ? answered : kept.until.load(kRelaxed);
  if (from >= end || from < begin) return;
  const std::uint64_t room = most - std::min(most, from - answered);
  if (room != 0) static_cast<void>(ledger_->keep_unanswered(*entry_, from, bytes.substr(from - begin, room)));
}

bool LedgerNotes::keeps_all_messages() const noexcept {
  if (entry_ == nullptr) return false;
  const std::uint64_t read = entry_->read.load(kRelaxed);
  const Ledger::Span kept = ledger_->span_of(entry_->unanswered);
  return output_.answers_until == read || (kept.from <= output_.answers_until && kept.until == read);
}

// The request ended after its last byte had been written: a streamed response, one that was not held, or the rest of a
// body that is dropped.
void LedgerNotes::answer_late() noexcept {
  output_.answers_until = answerable_;
  output_.answers_end = std::min(output_.until, unfinished_from_);
  entry_->set_output(output_);
}

// By its number the connection is known also when its client has gone.
bool LedgerNotes::upgrade(std::string_view state, std::span<const LedgerMark> marks) noexcept {
  if (entry_ == nullptr) return false;
  if (const std::uint64_t number = number_of(entry_->fd.load(kRelaxed)); number != 0) {
    entry_->identity.store(number, kRelease);
  }
  const bool kept = ledger_->note_socket(*entry_, state, &marks, Counts::with_output);
  entry_->socket.upgraded_at.store(consumed_, kRelease);
  return kept;
}

void LedgerNotes::settle_messages() noexcept {
  if (entry_ == nullptr) return;
  if (output_.answers_until != answerable_) answer_late();
  ledger_->settle_notes(*entry_);
  ledger_->discard_until(entry_->unanswered, output_.answers_until);
}

}  // namespace pronghorn::worker
