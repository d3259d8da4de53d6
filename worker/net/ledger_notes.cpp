#include "worker/net/ledger_notes.h"

#include <algorithm>
#include <utility>

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
// request is too long), no more are kept until that is answered: without them the connection does not survive. Of a
// request that is too long, the beginning is kept.
void LedgerNotes::keep_unanswered(std::string_view bytes) noexcept {
  KeptBytes& kept = entry_->unanswered;
  const std::uint64_t end = entry_->read.load(kRelaxed);
  const std::uint64_t begin = end - bytes.size();
  const std::uint64_t answered = output_.answers_until;
  ledger_->discard_until(kept, answered);
  const bool empty = kept.first_block.load(kRelaxed) == 0;
  if (empty && begin > answered) return;
  const std::uint64_t from = empty ? answered : kept.until.load(kRelaxed);
  if (from >= end || from < begin) return;
  const std::uint64_t room = Ledger::kMaxUnanswered - std::min(Ledger::kMaxUnanswered, from - answered);
  if (room != 0) static_cast<void>(ledger_->keep_unanswered(*entry_, from, bytes.substr(from - begin, room)));
}

// The request ended after its last byte had been written: a streamed response, one that was not held, or the rest of a
// body that is dropped.
void LedgerNotes::answer_late() noexcept {
  output_.answers_until = answerable_;
  output_.answers_end = std::min(output_.until, unfinished_from_);
  entry_->set_output(output_);
}

}  // namespace pronghorn::worker
