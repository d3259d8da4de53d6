// The notes of WebSockets: see ledger_socket.h.
#include "worker/net/ledger/ledger_socket.h"

#include <algorithm>
#include <cstring>

#include "worker/net/ledger/ledger.h"

namespace pronghorn::worker {
namespace {

constexpr auto kRelease = std::memory_order_release;
constexpr auto kRelaxed = std::memory_order_relaxed;

void store(LedgerCell::Mark& slot, NoteKey key, const LedgerMark& mark) noexcept {
  slot.key.store(0, kRelease);
  slot.epoch.store(mark.epoch, kRelease);
  slot.offset.store(mark.offset, kRelease);
  slot.key.store(key.value(), kRelease);
}

template <class Slots>
NoteKey newest_key(const Slots& slots) noexcept {
  const int newest = slot_at(slots, kAnyOutput);
  return newest < 0 ? 0 : slots[static_cast<std::size_t>(newest)].key.load(kRelaxed);
}

}  // namespace

LedgerCell* Ledger::cell_at(std::uint32_t cell) const noexcept {
  if (cell == 0 || cell > std::uint64_t{block_count_} * LedgerCell::kPerBlock) return nullptr;
  return reinterpret_cast<LedgerCell*>(blocks_) + (cell - 1);
}

// --- The worker that owns it ----------------------------------------------------------------------------------------

std::uint32_t Ledger::take_cell() noexcept {
  std::uint32_t cell = cells_.take();
  if (cell == 0) {
    const std::uint32_t block = take_block();
    if (block == 0) return 0;
    cells_.add(block);
    cell = cells_.take();
  }
  cell_at(cell)->next.store(0, kRelease);
  return cell;
}

void Ledger::free_cells(std::uint32_t cell) noexcept {
  while (cell != 0) {
    const std::uint32_t next = cell_at(cell)->next.load(kRelaxed);
    if (const std::uint32_t block = cells_.give_back(cell); block != 0) free_blocks_.push_back(block);
    cell = next;
  }
}

// The first of so many; 0: there is no room.
std::uint32_t Ledger::take_cells(std::size_t count) noexcept {
  const std::uint32_t first = take_cell();
  std::uint32_t last = first;
  for (std::size_t i = 1; i < count && last != 0; ++i) {
    const std::uint32_t next = take_cell();
    if (next == 0) {
      free_cells(first);
      return 0;
    }
    cell_at(last)->next.store(next, kRelease);
    last = next;
  }
  return first;
}

// A note that counts from `position` on; 0: there is no room. `marks`: null for those of the note `before`.
std::uint32_t Ledger::build_note(std::string_view state, const std::span<const LedgerMark>* marks, std::uint32_t before,
                                 std::uint64_t position) noexcept {
  const LedgerCell* from = cell_at(before);
  const std::size_t count = marks != nullptr ? marks->size() : from == nullptr ? 0 : from->marks.load(kRelaxed);
  const std::size_t bytes = count * sizeof(LedgerCell::MarkSlots) + state.size();
  const std::uint32_t first =
      take_cells(std::max<std::size_t>(1, (bytes + LedgerCell::kBytes - 1) / LedgerCell::kBytes));
  if (first == 0) return 0;
  LedgerCell* to = cell_at(first);
  to->state.store(static_cast<std::uint32_t>(state.size()), kRelease);
  to->marks.store(static_cast<std::uint32_t>(count), kRelease);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t here = i % LedgerCell::kMarks;
    if (i != 0 && here == 0) {
      to = cell_at(to->next.load(kRelaxed));
      if (marks == nullptr) from = cell_at(from->next.load(kRelaxed));
    }
    LedgerCell::MarkSlots& slots = to->mark(here);
    if (marks != nullptr) {
      store(slots[0], NoteKey::after(0, position), (*marks)[i]);
      slots[1].key.store(0, kRelease);
    } else {
      std::memcpy(static_cast<void*>(&slots), &from->mark(here), sizeof slots);
    }
  }
  std::size_t used = (count == 0 ? 0 : (count - 1) % LedgerCell::kMarks + 1) * sizeof(LedgerCell::MarkSlots);
  while (!state.empty()) {
    if (used == LedgerCell::kBytes) {
      to = cell_at(to->next.load(kRelaxed));
      used = 0;
    }
    const std::size_t part = std::min(state.size(), LedgerCell::kBytes - used);
    std::memcpy(to->bytes.data() + used, state.data(), part);
    state.remove_prefix(part);
    used += part;
  }
  return first;
}

// Whether a mark of the note waits for output.
bool Ledger::has_waiting_mark(std::uint32_t note, std::uint64_t until) const noexcept {
  const LedgerCell* cell = cell_at(note);
  const std::size_t count = cell == nullptr ? 0 : cell->marks.load(kRelaxed);
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0 && i % LedgerCell::kMarks == 0) cell = cell_at(cell->next.load(kRelaxed));
    const LedgerCell::MarkSlots& slots = cell->mark(i % LedgerCell::kMarks);
    if (slot_at(slots, until) != slot_at(slots, kAnyOutput)) return true;
  }
  return false;
}

void Ledger::drop_note(LedgerNote& note) noexcept {
  if (note.key.load(kRelaxed) == 0) return;
  note.key.store(0, kRelease);
  free_cells(note.first_cell.load(kRelaxed));
}

bool Ledger::note_socket(LedgerEntry& entry, std::string_view state, const std::span<const LedgerMark>* marks,
                         Counts counts) noexcept {
  auto& notes = extra(entry).notes;
  const std::uint64_t until = entry.output().until;
  const int now = slot_at(notes, until);
  const int newest = slot_at(notes, kAnyOutput);
  const std::uint32_t before = newest < 0 ? 0 : notes[static_cast<std::size_t>(newest)].first_cell.load(kRelaxed);
  // What waits for output must not count without it.
  const bool waits = counts == Counts::with_output || (newest >= 0 && newest != now) || has_waiting_mark(before, until);
  const std::uint64_t position = until + (waits ? 1 : 0);
  const bool fits = state.size() <= kMaxSocketState && (marks == nullptr || marks->size() <= kMaxMarks);
  const std::uint32_t note = fits ? build_note(state, marks, before, position) : 0;
  if (note == 0) {
    forget_notes(entry);
    return false;
  }
  const std::size_t target = now >= 0 ? 1 - now : newest >= 0 ? 1 - newest : 0;
  const NoteKey key = NoteKey::after(newest_key(notes), position);
  drop_note(notes[target]);
  notes[target].first_cell.store(note, kRelease);
  notes[target].key.store(key.value(), kRelease);
  if (!waits || now < 0) drop_note(notes[1 - target]);
  return true;
}

// The one that has been replaced goes first: it must not come back.
void Ledger::forget_notes(LedgerEntry& entry) noexcept {
  auto& notes = extra(entry).notes;
  const int newest = slot_at(notes, kAnyOutput);
  if (newest < 0) return;
  drop_note(notes[static_cast<std::size_t>(1 - newest)]);
  drop_note(notes[static_cast<std::size_t>(newest)]);
}

void Ledger::settle_notes(LedgerEntry& entry) noexcept {
  auto& notes = extra(entry).notes;
  if (notes[0].key.load(kRelaxed) == 0 || notes[1].key.load(kRelaxed) == 0) return;
  const int newest = slot_at(notes, kAnyOutput);
  if (slot_at(notes, entry.output().until) == newest) drop_note(notes[static_cast<std::size_t>(1 - newest)]);
}

void Ledger::mark(LedgerEntry& entry, std::size_t index, const LedgerMark& mark, Counts counts) noexcept {
  const auto& notes = extra(entry).notes;
  const int note = slot_at(notes, kAnyOutput);
  if (note < 0) return;
  LedgerCell* cell = cell_at(notes[static_cast<std::size_t>(note)].first_cell.load(kRelaxed));
  if (cell == nullptr || index >= cell->marks.load(kRelaxed)) return;
  for (; index >= LedgerCell::kMarks; index -= LedgerCell::kMarks) cell = cell_at(cell->next.load(kRelaxed));
  LedgerCell::MarkSlots& slots = cell->mark(index);
  const std::uint64_t until = entry.output().until;
  const int now = slot_at(slots, until);
  const int newest = slot_at(slots, kAnyOutput);
  const bool waits = counts == Counts::with_output || newest != now;
  const std::size_t target = now >= 0 ? 1 - now : newest >= 0 ? 1 - newest : 0;
  store(slots[target], NoteKey::after(newest_key(slots), until + (waits ? 1 : 0)), mark);
}

void Ledger::forget_socket(LedgerEntry& entry) noexcept {
  entry.upgraded_at.store(0, kRelease);
  entry.socket_close.store(SocketClose::no, kRelease);
  entry.socket_truncated.store(0, kRelease);
  forget_notes(entry);
}

// --- Whoever reads it -----------------------------------------------------------------------------------------------

std::optional<SocketNote> Ledger::read_note(const LedgerEntry& entry, std::span<char> state,
                                            std::span<LedgerMark> marks) const noexcept {
  const std::uint64_t until = entry.output().until;
  const int note = slot_at(extra(entry).notes, until);
  if (note < 0) return std::nullopt;
  const LedgerCell* cell = cell_at(extra(entry).notes[static_cast<std::size_t>(note)].first_cell.load(kRelaxed));
  if (cell == nullptr) return std::nullopt;
  const std::size_t count = cell->marks.load(kRelaxed);
  const std::size_t size = cell->state.load(kRelaxed);
  if (count > std::min(kMaxMarks, marks.size()) || size > std::min(kMaxSocketState, state.size())) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t here = i % LedgerCell::kMarks;
    if (i != 0 && here == 0) cell = cell_at(cell->next.load(kRelaxed));
    if (cell == nullptr) return std::nullopt;
    const LedgerCell::MarkSlots& slots = cell->mark(here);
    const int slot = slot_at(slots, until);
    if (slot < 0) return std::nullopt;
    const LedgerCell::Mark& mark = slots[static_cast<std::size_t>(slot)];
    marks[i] = {.epoch = mark.epoch.load(kRelaxed), .offset = mark.offset.load(kRelaxed)};
  }
  std::size_t used = (count == 0 ? 0 : (count - 1) % LedgerCell::kMarks + 1) * sizeof(LedgerCell::MarkSlots);
  for (std::size_t done = 0; done < size;) {
    if (used == LedgerCell::kBytes) {
      cell = cell_at(cell->next.load(kRelaxed));
      if (cell == nullptr) return std::nullopt;
      used = 0;
    }
    const std::size_t part = std::min(size - done, LedgerCell::kBytes - used);
    std::memcpy(state.data() + done, cell->bytes.data() + used, part);
    done += part;
    used += part;
  }
  return SocketNote{.state = {state.data(), size}, .marks = count};
}

}  // namespace pronghorn::worker
