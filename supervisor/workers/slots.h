// The bookkeeping of slots and workers: which slot has which processes, in which state, and what is due.
//
// Context: supervisor. Without I/O; the time is passed in (monotonic milliseconds), so that its rules are unit-tested.
//
// A slot holds at most two workers, one per row of the scoreboard: while one drains, or until its successor is ready,
// two live at once. The worker in row r of a slot is the only writer of that row.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "supervisor/launch/worker_entry.h"
#include "supervisor/workers/restart_policy.h"

namespace pronghorn::supervisor {

class Slots {
 public:
  // Where a worker can start.
  struct Place {
    std::uint32_t slot;
    std::uint32_t row;
  };
  struct Exit {
    WorkerEntry worker;
    bool counts = false;              // nobody asked for it: to be explained
    std::chrono::milliseconds delay;  // until the slot may start another
    ExitSeries series;                // what the delay is for
    bool replaced = false;            // the slot wants another
  };

  Slots() : slots_(kMaxSlots) {}

  // Slots 0 .. workers-1 are to be filled. Returns the workers of slots that are not wanted any more; the caller drains
  // them.
  std::vector<WorkerEntry> set_target(std::uint32_t workers, std::uint64_t now);
  [[nodiscard]] std::uint32_t target() const noexcept { return target_; }
  // The admin slot is to be filled, or not.
  void set_admin(bool wanted) noexcept { slots_[kAdminSlot].wanted = wanted; }
  [[nodiscard]] bool wanted(std::uint32_t slot) const noexcept { return slots_[slot].wanted; }

  // A slot that has to get a worker now: it is wanted, has none that is not draining, its delay is over, a row is free.
  [[nodiscard]] std::optional<Place> next_start(std::uint64_t now) const noexcept;
  // A free row of the slot, for the successor of a worker that still serves.
  [[nodiscard]] std::optional<std::uint32_t> free_row(std::uint32_t slot) const noexcept;

  // `boot_deadline`: see WorkerEntry::kill_at_ms; it ends with ready().
  void started(Place place, int pid, std::uint32_t generation, std::uint64_t now, std::uint64_t boot_deadline);
  // The process could not be made: the slot waits as after an exit. Returns how long.
  std::chrono::milliseconds start_failed(std::uint32_t slot, std::uint64_t now, double jitter) noexcept;
  // Nothing happens for a pid that is not here, or not starting.
  void ready(int pid, std::uint64_t now) noexcept;
  void draining(int pid, std::uint64_t now, std::uint64_t kill_at) noexcept;
  void dying(int pid, std::uint64_t now, std::uint64_t kill_at) noexcept;
  // Brings the deadline forward; one that is there already and earlier stays.
  void kill_at(int pid, std::uint64_t when) noexcept;
  void kill_sent(int pid) noexcept;  // nothing is due for this worker any more
  // The process has been reaped. Empty for a pid that is not here.
  std::optional<Exit> exited(int pid, std::uint64_t now, double jitter) noexcept;
  // The slot's next worker starts only when no other process is left in it.
  void hold(std::uint32_t slot) noexcept { slots_[slot].held = true; }
  // The slot has got something new to run: what happened to it before says nothing about that.
  void forget_exits(std::uint32_t slot) noexcept {
    slots_[slot].policy.forget();
    slots_[slot].start_at = 0;
  }
  // Takes over a worker that an earlier image of this program started.
  void adopt(const WorkerEntry& worker);

  [[nodiscard]] const WorkerEntry* find(int pid) const noexcept;
  // The worker that answers for the slot: ready before starting before dying before draining, the newest first.
  // nullptr: none.
  [[nodiscard]] const WorkerEntry* current(std::uint32_t slot) const noexcept;
  // The other one. nullptr: none.
  [[nodiscard]] const WorkerEntry* other(std::uint32_t slot) const noexcept;
  [[nodiscard]] const WorkerEntry* ready_worker(std::uint32_t slot) const noexcept;
  // The slot waits before it starts another.
  struct Backoff {
    std::uint64_t until_ms;
    ExitSeries series;
  };
  [[nodiscard]] std::optional<Backoff> backoff(std::uint32_t slot, std::uint64_t now) const noexcept;
  [[nodiscard]] SlotState state(std::uint32_t slot, std::uint64_t now) const noexcept;
  // Since when the slot has had no ready worker; 0: it has one, or was never wanted.
  [[nodiscard]] std::uint64_t unserved_since(std::uint32_t slot) const noexcept { return slots_[slot].unserved_since; }

  // Copies: the caller may change the bookkeeping while it goes through them.
  [[nodiscard]] std::vector<WorkerEntry> workers() const;
  [[nodiscard]] std::size_t count() const noexcept;          // processes, the admin one included
  [[nodiscard]] std::uint32_t ready_slots() const noexcept;  // of workers
  // The next time at which a slot may start or a worker is to be killed; 0: none.
  [[nodiscard]] std::uint64_t next_due() const noexcept;

 private:
  struct Slot {
    bool wanted = false;
    bool held = false;
    std::array<std::optional<WorkerEntry>, kRowsPerSlot> rows;
    RestartPolicy policy;
    std::uint64_t start_at = 0;
    std::uint64_t unserved_since = 0;
  };

  [[nodiscard]] WorkerEntry* find_mutable(int pid) noexcept;
  [[nodiscard]] static bool has_serving(const Slot& slot) noexcept;
  [[nodiscard]] static bool may_start(const Slot& slot) noexcept;
  void note_served(Slot& slot, std::uint64_t now) noexcept;

  std::vector<Slot> slots_;
  std::uint32_t target_ = 0;
};

}  // namespace pronghorn::supervisor
