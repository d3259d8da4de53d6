// The bookkeeping of slots and workers: which processes each slot has, in which state, and what is due.
//
// No I/O: the time is passed in (monotonic milliseconds), so that the rules are unit-tested.
//
// A slot has at most one worker per row of the scoreboard. Usually that is one; while a worker drains, or until its
// successor is ready, there are two, and three while a bad successor is replaced too. Each row has one writer: the
// worker in it.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "supervisor/launch/worker_entry.h"
#include "supervisor/slots/restart_policy.h"

namespace pronghorn::supervisor {

class Slots {
 public:
  // Where a worker starts.
  struct Place {
    std::uint32_t slot;
    std::uint32_t row;
  };
  struct Exit {
    WorkerEntry worker;
    bool counts = false;              // it was unexpected
    std::chrono::milliseconds delay;  // until the slot may start another
    ExitSeries series;                // the exits that the delay is for
    bool replaced = false;            // the slot starts another worker
  };

  Slots() : slots_(kMaxSlots) {}

  // Slots 0 .. workers-1 are wanted from now on. Returns the workers of the other slots; the caller drains them.
  std::vector<WorkerEntry> set_target(std::uint32_t workers, std::uint64_t now);
  [[nodiscard]] std::uint32_t target() const noexcept { return target_; }
  // Whether the admin slot is wanted.
  void set_admin(bool wanted) noexcept { slots_[kAdminSlot].wanted = wanted; }
  // Whether the distributor's slot is wanted.
  void set_distributor(bool wanted) noexcept { slots_[kDistributorSlot].wanted = wanted; }
  // Whether so many slots of job workers are wanted, at most kMaxJobWorkers.
  void set_job_workers(std::uint32_t workers) noexcept {
    for (std::uint32_t i = 0; i < kMaxJobWorkers; ++i) slots_[kFirstJobSlot + i].wanted = i < workers;
  }
  [[nodiscard]] bool wanted(std::uint32_t slot) const noexcept { return slots_[slot].wanted; }

  // A slot that needs a worker now: it is wanted, all of its workers are leaving, its delay has passed, and it has a
  // free row.
  [[nodiscard]] std::optional<Place> next_start(std::uint64_t now) const noexcept;
  // A successor may start beside the worker that serves the slot, and a row stays free: when the successor turns out to
  // be bad while the old worker still drains, a third worker takes its place at once.
  [[nodiscard]] bool can_surge(std::uint32_t slot) const noexcept;
  // A free row of the slot. Empty: there is none.
  [[nodiscard]] std::optional<std::uint32_t> free_row(std::uint32_t slot) const noexcept;

  // A worker has been started there. `boot_deadline` is its kill_at_ms until ready(); 0: none.
  void started(Place place, int pid, std::uint32_t generation, std::uint64_t now, std::uint64_t boot_deadline);
  // The process could not be created: the slot waits as after an exit. Returns how long.
  std::chrono::milliseconds start_failed(std::uint32_t slot, std::uint64_t now, double jitter) noexcept;
  // These do nothing when there is no such worker. ready() does nothing unless it is starting.
  void ready(int pid, std::uint64_t now) noexcept;
  void draining(int pid, std::uint64_t now, std::uint64_t kill_at) noexcept;
  void dying(int pid, std::uint64_t now, std::uint64_t kill_at) noexcept;
  // Sets the deadline; an earlier one stays.
  void kill_at(int pid, std::uint64_t when) noexcept;
  void kill_sent(int pid) noexcept;  // clears the deadline
  // The process has been reaped. Empty: there is no such worker.
  std::optional<Exit> exited(int pid, std::uint64_t now, double jitter) noexcept;
  // The slot's next worker starts when all of its processes have ended.
  void hold(std::uint32_t slot) noexcept { slots_[slot].held = true; }
  // The slot runs something new: earlier exits do not delay its next start.
  void forget_exits(std::uint32_t slot) noexcept {
    slots_[slot].policy.forget();
    slots_[slot].start_at = 0;
  }
  // Takes over a worker that an earlier image of this program started.
  void adopt(const WorkerEntry& worker);

  [[nodiscard]] const WorkerEntry* find(int pid) const noexcept;
  // The worker that represents the slot: ready before starting before dying before draining; of equals, the newest.
  // Null: none.
  [[nodiscard]] const WorkerEntry* current(std::uint32_t slot) const noexcept;
  // The next one in that order. Null: none.
  [[nodiscard]] const WorkerEntry* other(std::uint32_t slot) const noexcept;
  [[nodiscard]] const WorkerEntry* ready_worker(std::uint32_t slot) const noexcept;
  // The slot waits before it starts its next worker.
  struct Backoff {
    std::uint64_t until_ms;
    ExitSeries series;
  };
  [[nodiscard]] std::optional<Backoff> backoff(std::uint32_t slot, std::uint64_t now) const noexcept;
  [[nodiscard]] SlotState state(std::uint32_t slot, std::uint64_t now) const noexcept;
  // When the slot's worker ended unexpectedly, until the next one is ready (monotonic milliseconds). 0: it did not.
  [[nodiscard]] std::uint64_t lost_since(std::uint32_t slot) const noexcept { return slots_[slot].lost_since; }
  // Since when the slot has had no ready worker (monotonic milliseconds). 0: it has one, or was never wanted.
  [[nodiscard]] std::uint64_t unserved_since(std::uint32_t slot) const noexcept { return slots_[slot].unserved_since; }

  // A copy, so that the caller may change the bookkeeping while it iterates.
  [[nodiscard]] std::vector<WorkerEntry> workers() const;
  [[nodiscard]] std::size_t count() const noexcept;          // including the admin process
  [[nodiscard]] std::uint32_t ready_slots() const noexcept;  // of workers
  // When the next start or kill is due (monotonic milliseconds); 0: none.
  [[nodiscard]] std::uint64_t next_due() const noexcept;

 private:
  // When nobody serves otherwise, and this slot's process did not even become ready.
  static constexpr std::chrono::milliseconds kNeverReadyDelay{1'000};

  struct Slot {
    bool wanted = false;
    bool held = false;
    std::array<std::optional<WorkerEntry>, kRowsPerSlot> rows;
    RestartPolicy policy;
    std::uint64_t start_at = 0;
    std::uint64_t unserved_since = 0;
    std::uint64_t lost_since = 0;
  };

  [[nodiscard]] WorkerEntry* find_mutable(int pid) noexcept;
  [[nodiscard]] static bool has_serving(const Slot& slot) noexcept;
  [[nodiscard]] static bool may_start(const Slot& slot) noexcept;
  void note_served(Slot& slot, std::uint64_t now) noexcept;
  [[nodiscard]] std::chrono::milliseconds longest_delay(std::uint32_t slot,
                                                        std::chrono::milliseconds ready_for) const noexcept;

  std::vector<Slot> slots_;
  std::uint32_t target_ = 0;
};

}  // namespace pronghorn::supervisor
