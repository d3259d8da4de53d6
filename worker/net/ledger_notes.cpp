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
}

void LedgerNotes::end() noexcept {
  if (LedgerEntry* const entry = std::exchange(entry_, nullptr)) ledger_->remove(*entry);
}

// Saved bytes follow on each other from a request that is not answered. When some are missing (the ledger was full), none
// are kept until everything is answered: without them the connection does not survive.
void LedgerNotes::keep_unanswered(std::string_view bytes) noexcept {
  const std::uint64_t end = entry_->read.load(kRelaxed);
  const std::uint64_t begin = end - bytes.size();
  const std::uint32_t saved = entry_->saved.load(kRelaxed);
  std::uint64_t from = std::max(begin, answerable_);
  if (saved != 0) {
    from = entry_->saved_from.load(kRelaxed) + saved;
    if (from >= end) return;
  } else if (from > answerable_) {
    return;
  }
  if (from < begin || ledger_->save(*entry_, from, bytes.substr(from - begin))) return;
  // A client that never lets everything be answered: what was kept is answered by now, at least in part.
  if (saved != 0 && begin <= answerable_) {
    static_cast<void>(ledger_->save(*entry_, answerable_, bytes.substr(answerable_ - begin)));
  }
}

// The request ended after its last byte had been written: a streamed response, or the rest of a body that is dropped.
// `answered` first: with `answered_end` alone the request would look like one whose response has not begun to leave.
void LedgerNotes::answer_late(bool all_sent) noexcept {
  const std::uint64_t end = entry_->sending_until.load(kRelaxed);
  if (all_sent) {
    entry_->answered.store(answerable_, kRelease);
    entry_->answered_end.store(end, kRelease);
  }
  entry_->answers_until.store(answerable_, kRelease);
  entry_->answers_end.store(end, kRelease);
}

void LedgerNotes::discard_answered() noexcept {
  if (entry_->answered.load(kRelaxed) == entry_->read.load(kRelaxed)) ledger_->discard_saved(*entry_);
}

}  // namespace pronghorn::worker
