#include "supervisor/slots/slots.h"

#include <algorithm>
#include <span>

namespace pronghorn::supervisor {
namespace {

int rank(WorkerState state) noexcept {
  switch (state) {
    case WorkerState::ready:
      return 3;
    case WorkerState::starting:
      return 2;
    case WorkerState::dying:
      return 1;
    case WorkerState::draining:
      return 0;
  }
  return 0;
}

bool goes_before(const WorkerEntry& a, const WorkerEntry& b) noexcept {
  if (rank(a.state) != rank(b.state)) return rank(a.state) > rank(b.state);
  return a.started_ms != b.started_ms ? a.started_ms > b.started_ms : a.generation > b.generation;
}

std::uint64_t earlier(std::uint64_t a, std::uint64_t b) noexcept {
  if (a == 0 || b == 0) return a + b;
  return std::min(a, b);
}

}  // namespace

std::vector<WorkerEntry> Slots::set_target(std::uint32_t workers, std::uint64_t now) {
  target_ = std::min(workers, kMaxWorkers);
  std::vector<WorkerEntry> surplus;
  for (std::uint32_t slot = 0; slot < kMaxWorkers; ++slot) {
    slots_[slot].wanted = slot < target_;
    if (slots_[slot].wanted) {
      note_served(slots_[slot], now);
      continue;
    }
    for (const auto& worker : slots_[slot].rows) {
      if (worker && rank(worker->state) > rank(WorkerState::dying)) surplus.push_back(*worker);
    }
  }
  return surplus;
}

bool Slots::has_serving(const Slot& slot) noexcept {
  return std::ranges::any_of(slot.rows, [](const auto& worker) { return worker.has_value() && !worker->leaving; });
}

// Regardless of the delay.
bool Slots::may_start(const Slot& slot) noexcept {
  const auto taken = std::ranges::count_if(slot.rows, [](const auto& worker) { return worker.has_value(); });
  return slot.wanted && !has_serving(slot) && taken < (slot.held ? 1 : static_cast<std::ptrdiff_t>(kRowsPerSlot));
}

std::optional<Slots::Place> Slots::next_start(std::uint64_t now) const noexcept {
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    const Slot& entry = slots_[slot];
    if (!may_start(entry) || entry.start_at > now) continue;
    if (const auto row = free_row(slot)) return Place{slot, *row};
  }
  return std::nullopt;
}

bool Slots::can_surge(std::uint32_t slot) const noexcept {
  const auto& rows = slots_[slot].rows;
  return std::ranges::count_if(rows, [](const auto& worker) { return !worker.has_value(); }) >= 2;
}

std::optional<std::uint32_t> Slots::free_row(std::uint32_t slot) const noexcept {
  for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) {
    if (!slots_[slot].rows[row]) return row;
  }
  return std::nullopt;
}

void Slots::started(Place place, int pid, std::uint32_t generation, std::uint64_t now, std::uint64_t boot_deadline) {
  slots_[place.slot].held = false;
  slots_[place.slot].rows[place.row] =
      WorkerEntry{pid, place.slot, place.row, generation, WorkerState::starting, false, now, 0, boot_deadline};
}

std::chrono::milliseconds Slots::start_failed(std::uint32_t slot, std::uint64_t now, double jitter) noexcept {
  const auto delay = slots_[slot].policy.after_exit(now, std::chrono::milliseconds(-1), jitter);
  slots_[slot].start_at = now + static_cast<std::uint64_t>(delay.count());
  return delay;
}

void Slots::note_served(Slot& slot, std::uint64_t now) noexcept {
  const bool served = std::ranges::any_of(
      slot.rows, [](const auto& worker) { return worker.has_value() && worker->state == WorkerState::ready; });
  if (served) {
    slot.unserved_since = 0;
  } else if (slot.unserved_since == 0) {
    slot.unserved_since = now;
  }
}

void Slots::ready(int pid, std::uint64_t now) noexcept {
  WorkerEntry* worker = find_mutable(pid);
  if (worker == nullptr || worker->state != WorkerState::starting) return;
  worker->state = WorkerState::ready;
  worker->ready_ms = now;
  worker->kill_at_ms = 0;
  slots_[worker->slot].lost_since = 0;
  note_served(slots_[worker->slot], now);
}

void Slots::draining(int pid, std::uint64_t now, std::uint64_t kill_at) noexcept {
  WorkerEntry* worker = find_mutable(pid);
  if (worker == nullptr) return;
  // A draining worker accepts only until its queue is empty, so the slot counts as unserved from now on.
  worker->state = WorkerState::draining;
  worker->leaving = true;
  worker->kill_at_ms = earlier(worker->kill_at_ms, kill_at);
  note_served(slots_[worker->slot], now);
}

void Slots::dying(int pid, std::uint64_t now, std::uint64_t kill_at) noexcept {
  WorkerEntry* worker = find_mutable(pid);
  if (worker == nullptr) return;
  worker->state = WorkerState::dying;
  worker->kill_at_ms = kill_at;
  note_served(slots_[worker->slot], now);
}

void Slots::kill_at(int pid, std::uint64_t when) noexcept {
  if (WorkerEntry* worker = find_mutable(pid)) worker->kill_at_ms = earlier(worker->kill_at_ms, when);
}

void Slots::kill_sent(int pid) noexcept {
  if (WorkerEntry* worker = find_mutable(pid)) worker->kill_at_ms = 0;
}

std::optional<Slots::Exit> Slots::exited(int pid, std::uint64_t now, double jitter) noexcept {
  const WorkerEntry* found = find(pid);
  if (found == nullptr) return std::nullopt;
  Exit exit{*found, !found->leaving, std::chrono::milliseconds(0), {}, false};
  Slot& slot = slots_[exit.worker.slot];
  slot.rows[exit.worker.row].reset();
  note_served(slot, now);
  // When a successor failed, or a successor is here already, the slot needs no start.
  if (!exit.counts || !slot.wanted || has_serving(slot)) return exit;
  const auto ready_for = exit.worker.ready_ms == 0
                             ? std::chrono::milliseconds(-1)
                             : std::chrono::milliseconds(static_cast<std::int64_t>(now - exit.worker.ready_ms));
  exit.delay = slot.policy.after_exit(now, ready_for, jitter);
  exit.delay = std::min(exit.delay, longest_delay(exit.worker.slot, ready_for));
  exit.series = slot.policy.series();
  exit.replaced = true;
  if (slot.lost_since == 0) slot.lost_since = now;
  slot.start_at = now + static_cast<std::uint64_t>(exit.delay.count());
  return exit;
}

// No limit for the admin process and job workers, and for a worker while another slot serves or starts. Otherwise all
// slots would wait and none would serve: the last one to fail starts immediately, and so does the distributor, of which
// there is only one, unless it failed so early that the next one is likely to do the same.
std::chrono::milliseconds Slots::longest_delay(std::uint32_t slot, std::chrono::milliseconds ready_for) const noexcept {
  const auto serves = [](const Slot& each) { return each.wanted && has_serving(each); };
  const auto workers = std::span(slots_).first(kMaxWorkers);
  if (slot == kAdminSlot || is_job_slot(slot) || (is_worker_slot(slot) && std::ranges::any_of(workers, serves))) {
    return RestartPolicy::kLongestDelay * 2;
  }
  if (ready_for < std::chrono::milliseconds::zero()) return kNeverReadyDelay;
  return ready_for < RestartPolicy::kFirstDelay ? RestartPolicy::kFirstDelay : std::chrono::milliseconds::zero();
}

void Slots::adopt(const WorkerEntry& worker) {
  slots_[worker.slot].rows[worker.row] = worker;
  slots_[worker.slot].rows[worker.row]->leaving = worker.state == WorkerState::draining;
  note_served(slots_[worker.slot], worker.started_ms);
}

WorkerEntry* Slots::find_mutable(int pid) noexcept {
  for (Slot& slot : slots_) {
    for (auto& worker : slot.rows) {
      if (worker && worker->pid == pid) return &*worker;
    }
  }
  return nullptr;
}

const WorkerEntry* Slots::find(int pid) const noexcept { return const_cast<Slots*>(this)->find_mutable(pid); }

const WorkerEntry* Slots::current(std::uint32_t slot) const noexcept {
  const WorkerEntry* best = nullptr;
  for (const auto& worker : slots_[slot].rows) {
    if (worker && (best == nullptr || goes_before(*worker, *best))) best = &*worker;
  }
  return best;
}

const WorkerEntry* Slots::other(std::uint32_t slot) const noexcept {
  const WorkerEntry* first = current(slot);
  const WorkerEntry* second = nullptr;
  for (const auto& worker : slots_[slot].rows) {
    if (!worker || &*worker == first) continue;
    if (second == nullptr || goes_before(*worker, *second)) second = &*worker;
  }
  return second;
}

const WorkerEntry* Slots::ready_worker(std::uint32_t slot) const noexcept {
  const WorkerEntry* worker = current(slot);
  return worker != nullptr && worker->state == WorkerState::ready ? worker : nullptr;
}

SlotState Slots::state(std::uint32_t slot, std::uint64_t now) const noexcept {
  const Slot& entry = slots_[slot];
  if (const WorkerEntry* worker = current(slot)) {
    switch (worker->state) {
      case WorkerState::starting:
        return SlotState::starting;
      case WorkerState::ready:
        return SlotState::ready;
      case WorkerState::draining:
        return SlotState::draining;
      case WorkerState::dying:
        return SlotState::backoff;
    }
  }
  if (!entry.wanted) return SlotState::stopped;
  return entry.start_at > now ? SlotState::backoff : SlotState::empty;
}

std::optional<Slots::Backoff> Slots::backoff(std::uint32_t slot, std::uint64_t now) const noexcept {
  const Slot& entry = slots_[slot];
  if (!entry.wanted || has_serving(entry) || entry.start_at <= now) return std::nullopt;
  return Backoff{entry.start_at, entry.policy.series()};
}

std::vector<WorkerEntry> Slots::workers() const {
  std::vector<WorkerEntry> all;
  for (const Slot& slot : slots_) {
    for (const auto& worker : slot.rows) {
      if (worker) all.push_back(*worker);
    }
  }
  return all;
}

std::size_t Slots::count() const noexcept {
  std::size_t number = 0;
  for (const Slot& slot : slots_) {
    for (const auto& worker : slot.rows) number += worker ? 1 : 0;
  }
  return number;
}

std::uint32_t Slots::ready_slots() const noexcept {
  std::uint32_t number = 0;
  for (std::uint32_t slot = 0; slot < target_; ++slot) number += ready_worker(slot) != nullptr ? 1 : 0;
  return number;
}

std::uint64_t Slots::next_due() const noexcept {
  std::uint64_t due = 0;
  for (const Slot& slot : slots_) {
    if (may_start(slot)) {
      due = earlier(due, std::max<std::uint64_t>(slot.start_at, 1));
    }
    for (const auto& worker : slot.rows) {
      if (worker) due = earlier(due, worker->kill_at_ms);
    }
  }
  return due;
}

}  // namespace pronghorn::supervisor
