#include "worker/guardian/gather.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <span>

#include "worker/net/open_file.h"

namespace pronghorn::worker {
namespace {

constexpr auto kStill = std::memory_order_relaxed;  // the writer is dead, or this thread

// Not on the stack: memory that nobody touches unless it is needed.
std::array<char, kMaxHandedUnanswered> unanswered_bytes;
std::array<char, kMaxHandedUnsent> unsent_bytes;
std::array<char, kMaxSocketState> state_bytes;
std::array<LedgerMark, kMaxMarks> mark_places;

// The descriptor of a new file of `size` bytes, which `copy` writes. -1 if there is no memory for it, or `copy` fails.
template <class Copy>
int make_file(const Ledger& ledger, std::uint64_t size, Copy copy) noexcept {
  if (size > ledger.size()) return -1;
  const int file = memory_file({});
  if (file < 0) return -1;
  // First of all the memory is there: to touch what is not would end this process.
  const bool has_room = ::fallocate(file, 0, 0, static_cast<off_t>(size)) == 0;
  void* const memory = has_room ? ::mmap(nullptr, size, PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  if (memory != MAP_FAILED) {
    const bool copied = copy(std::span(static_cast<char*>(memory), size));
    ::munmap(memory, size);
    if (copied) return file;
  }
  ::close(file);
  return -1;
}

// Of a request that was begun and is longer than the ledger keeps, the beginning will do: it is not run again.
bool gather_beginning(const Ledger& ledger, const LedgerEntry& entry, const Verdict& verdict, Gathered& to) noexcept {
  const std::uint64_t until = std::min(verdict.read, ledger.span_of(entry.unanswered).until);
  const bool begun = verdict.begun != Begun::no && verdict.begun_until == verdict.answered + 1;
  if (!begun || until <= verdict.answered) return false;
  if (!ledger.copy_unanswered(entry, verdict.answered, until, unanswered_bytes)) return false;
  to.record.truncated = 1;
  if (to.record.begun == Begun::again) to.record.begun = Begun::unknown;
  to.handed.unanswered = {unanswered_bytes.data(), until - verdict.answered};
  return true;
}

// What a WebSocket's client has sent, if a message of the queue has no room for it.
bool gather_long_messages(const Ledger& ledger, const LedgerEntry& entry, const Verdict& verdict,
                          Gathered& to) noexcept {
  const std::uint64_t size = verdict.read - verdict.answered;
  to.handed.messages = to.made.messages = make_file(ledger, size, [&](std::span<char> out) {
    return ledger.copy_unanswered(entry, verdict.answered, verdict.read, out);
  });
  if (to.handed.messages < 0) return false;
  to.record.messages_bytes = size;
  return true;
}

// What the client has sent. Of a WebSocket whose bytes are not all there, none are of use: it is to be closed.
bool gather_unanswered(const Ledger& ledger, const LedgerEntry& entry, const Verdict& verdict, Gathered& to) noexcept {
  if (ledger.copy_unanswered(entry, verdict.answered, verdict.read, unanswered_bytes)) {
    to.handed.unanswered = {unanswered_bytes.data(), verdict.read - verdict.answered};
    return true;
  }
  if (!verdict.socket) return gather_beginning(ledger, entry, verdict, to);
  const bool is_long = verdict.read - verdict.answered > unanswered_bytes.size();
  if (is_long && gather_long_messages(ledger, entry, verdict, to)) return true;
  to.record.truncated = 1;
  to.record.answered = verdict.read;
  return true;
}

// What the client was to be sent: bytes from memory, then those of a file. More bytes than a message takes become a
// file. False when they are not all there.
bool gather_unsent(const Ledger& ledger, const LedgerEntry& entry, const Verdict& verdict, Gathered& to) noexcept {
  auto& [record, handed, made] = to;
  const int file = entry.file.load(kStill);
  const std::uint64_t file_from = file < 0 ? UINT64_MAX : ledger.extra(entry).file_from.load(kStill);
  const std::uint64_t memory_until = std::clamp(file_from, verdict.sent, verdict.owed_until);
  const std::uint64_t size = memory_until - verdict.sent;
  const auto copy = [&](std::span<char> out) { return ledger.copy_unsent(entry, verdict.sent, memory_until, out); };
  record.file_bytes = verdict.owed_until - memory_until;
  if (size > kMaxHandedUnsent - handed.marks.size_bytes() - handed.state.size()) {
    if (record.file_bytes != 0) return false;  // nothing writes so much before a file
    record.file_bytes = size;
    handed.file = made.file = make_file(ledger, size, copy);
    return handed.file >= 0;
  }
  if (!copy(unsent_bytes)) return false;
  handed.unsent = {unsent_bytes.data(), size};
  if (record.file_bytes == 0) return true;
  handed.file = file;
  record.file_offset = ledger.extra(entry).file_offset.load(kStill) + (memory_until - file_from);
  return true;
}

bool gather_note(const Ledger& ledger, const LedgerEntry& entry, Gathered& to) noexcept {
  const auto note = ledger.read_note(entry, state_bytes, mark_places);
  if (!note) return false;
  to.handed.state = note->state;
  to.handed.marks = {mark_places.data(), note->marks};
  return true;
}

}  // namespace

std::optional<Gathered> gather(const Ledger& ledger, const LedgerEntry& entry, int fd,
                               const Verdict& verdict) noexcept {
  Gathered to;
  to.handed.connection = fd;
  HandoffRecord& record = to.record;
  record.answered = verdict.answered;
  record.sent = verdict.sent;
  record.ends = verdict.ends ? 1 : 0;
  record.begun = verdict.begun;
  record.begun_until = verdict.begun_until;
  record.socket = verdict.socket ? 1 : 0;
  record.closing = verdict.closing ? 1 : 0;
  record.truncated = verdict.truncated ? 1 : 0;
  record.opened_ms = entry.opened_ms.load(kStill);
  record.identity = entry.identity.load(kStill);
  record.requests = entry.requests.load(kStill);
  if (ledger.is_guilty(entry)) record.crashed = ledger.guilty_request();
  record.peer = entry.peer;
  record.records_base = ledger.records_base(entry);
  if (verdict.socket && !gather_note(ledger, entry, to)) return std::nullopt;
  if (gather_unanswered(ledger, entry, verdict, to) && gather_unsent(ledger, entry, verdict, to)) return to;
  drop(to.made);
  return std::nullopt;
}

HandoffSent give_away(Ledger& ledger, LedgerEntry& entry, int queue) noexcept {
  const int fd = entry.fd.load(kStill);
  const Verdict verdict = judge(entry, ledger_positions(ledger, entry, fd, {}), {});
  if (verdict.fate != Verdict::Fate::moves || !verdict.socket) return HandoffSent::refused;
  auto gathered = gather(ledger, entry, fd, verdict);
  HandoffSent sent = HandoffSent::refused;
  if (gathered && gathered->record.truncated == 0) {
    gathered->record.reason = HandoffReason::drain;
    ledger.leave(entry);
    sent = send_handoff(queue, gathered->handed, gathered->record);
    if (sent != HandoffSent::yes) ledger.stay(entry);
  }
  if (gathered) drop(gathered->made);
  return sent;
}

}  // namespace pronghorn::worker
