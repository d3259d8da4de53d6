#include "worker/net/ledger/ledger_notes.h"

#include <algorithm>
#include <utility>

#include "worker/net/socket/socket_identity.h"

namespace pronghorn::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void LedgerNotes::begin(Ledger& ledger, LedgerEntry* entry, std::uint64_t answered) noexcept {
  is_below_ = false;
  ledger_ = &ledger;
  entry_ = entry;
  consumed_ = answerable_ = answered;
  if (entry == nullptr) return;
  const LedgerOutput output = entry->output();
  until_ = output.until;
  answers_until_ = output.answers_until;
  keeps_output_ = entry->sent.load(kRelaxed) != until_;
}

void LedgerNotes::end() noexcept {
  if (LedgerEntry* const entry = std::exchange(entry_, nullptr)) ledger_->remove(*entry);
}

// The buffer is of no other connection any more.
void LedgerNotes::begin_other_read() noexcept {
  if (is_below_) return upper_->begin_read();
  if (ledger_ != nullptr) ledger_->begin_read(nullptr);
}

void LedgerNotes::end_other_read(std::size_t size) noexcept {
  if (is_below_) upper_->end_read(size);
}

std::size_t LedgerNotes::other_room() const noexcept { return is_below_ ? upper_->room() : Ledger::kMaxUnanswered; }

void LedgerNotes::will_write_file(std::string_view first, bool queued, int file, std::uint64_t offset,
                                  std::uint64_t size) noexcept {
  if (entry_ == nullptr) return;
  held_ = hold(first, {}, queued);
  ledger_->note_file(*entry_, file, until_ + first.size(), offset);
  keeps_output_ = true;
  set_output(until_ + first.size() + size);
}

bool LedgerNotes::hold_in_blocks(std::string_view first, std::string_view second) noexcept {
  keeps_output_ = true;
  return ledger_->keep_unsent(*entry_, until_, first) &&
         (second.empty() || ledger_->keep_unsent(*entry_, until_ + first.size(), second));
}

void LedgerNotes::keep_rest(std::string_view rest) noexcept {
  if (entry_ == nullptr || !held_ || entry_->unsent.first_block.load(kRelaxed) != 0)
    return;  // a long write is in blocks already
  keeps_output_ = true;
  static_cast<void>(ledger_->keep_unsent(*entry_, memory_until() - rest.size(), rest));
}

// What the ledger does not hold answers nothing.
void LedgerNotes::prolong_output() noexcept {
  LedgerOutput output = entry_->output();
  output.until = until_;
  entry_->set_output(output);
}

// The end of the bytes from memory that were noted last.
std::uint64_t LedgerNotes::memory_until() const noexcept {
  return entry_->file.load(kRelaxed) < 0 ? until_ : ledger_->extra(*entry_).file_from.load(kRelaxed);
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
  const std::uint64_t answered = answers_until_;
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
  return answers_until_ == read || (kept.from <= answers_until_ && kept.until == read);
}

// The request ended after its last byte had been written: a streamed response, one that was not held, or the rest of a
// body that is dropped.
void LedgerNotes::answer_late() noexcept {
  answers_until_ = answerable_;
  entry_->set_output(
      {.until = until_, .answers_until = answerable_, .answers_end = std::min(until_, unfinished_from_)});
}

// By its number the connection is known also when its client has gone.
bool LedgerNotes::upgrade(std::string_view state, std::span<const LedgerMark> marks) noexcept {
  if (entry_ == nullptr) return false;
  if (const std::uint64_t number = number_of(entry_->fd.load(kRelaxed)); number != 0) {
    entry_->identity.store(number, kRelease);
  }
  const bool kept = ledger_->note_socket(*entry_, state, &marks, Counts::with_output);
  entry_->upgraded_at.store(consumed_, kRelease);
  return kept;
}

void LedgerNotes::settle_messages() noexcept {
  if (entry_ == nullptr) return;
  if (answers_until_ != answerable_) answer_late();
  ledger_->settle_notes(*entry_);
  ledger_->discard_until(entry_->unanswered, answers_until_);
}

}  // namespace pronghorn::worker
