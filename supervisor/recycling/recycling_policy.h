// Chooses workers to replace because they have reached a limit of requests, age or memory, because their guardian has
// ended, or because the memory of the control group is nearly used up. No I/O: facts and time (monotonic milliseconds)
// are passed in.
//
// One worker is replaced at a time, from the start of its successor until its process has ended. The limits of requests
// and age are staggered by slot, so that workers that started together do not become due together: slot s of n has the
// limit × (1 + s / 8n). The limit of memory is the same for all. Job workers (option job_workers) have the same limits and
// a stagger of their own; their requests are the jobs that they have run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/config/config.h"
#include "supervisor/recycling/memory_headroom.h"

namespace pronghorn::supervisor {

// 0: no limit.
struct RecycleLimits {
  std::uint64_t requests = 0;
  std::uint64_t age_ms = 0;
  std::uint64_t memory = 0;  // bytes
};
[[nodiscard]] RecycleLimits recycle_limits(const Config& config) noexcept;

// A ready worker.
struct RecycleFacts {
  std::uint32_t slot = 0;
  int pid = 0;
  std::uint64_t requests = 0;  // answered in its row, including those of earlier workers; of a job worker: jobs run
  std::uint64_t age_ms = 0;
  std::uint64_t memory = 0;  // resident bytes; 0: unknown
  RecycleLimits limits;      // of the configuration that it was started with
  bool unguarded = false;    // its guardian has ended: nobody would save its connections
};

class RecyclingPolicy {
 public:
  static constexpr std::uint64_t kRetryMs = 60'000;     // after a successor that did not become ready
  static constexpr std::uint64_t kPatienceMs = 60'000;  // for enough memory; then the old worker ends first

  enum class Way {
    surge,        // the successor first, then the old worker
    drain_first,  // memory does not suffice for both; the other workers serve meanwhile
  };
  struct Step {
    std::uint32_t slot = 0;
    int pid = 0;
    Way way = Way::surge;
    std::string reason;  // "512.3 MiB of memory, recycle_memory is 512 MiB"
  };
  // `warning` is for the log; each is returned once.
  struct Advice {
    std::optional<Step> step;
    std::string warning;
  };

  // Call once a second, while no rollout runs. `workers`: all ready workers; `slots`: how many there should be of those
  // that serve requests; `headroom`: see MemoryRoom. Returns no other step until the returned one has ended with failed() or gone().
  [[nodiscard]] Advice next(const std::vector<RecycleFacts>& workers, std::uint32_t slots,
                            std::optional<std::uint64_t> headroom, std::uint64_t now);

  // With less headroom than this the largest worker is replaced, so that there is time for that …
  [[nodiscard]] static std::uint64_t reserve(std::uint64_t limit) noexcept;
  // … and with less than this it is killed before the kernel kills, which may take the whole group (memory.oom.group).
  [[nodiscard]] static std::uint64_t last_reserve(std::uint64_t limit) noexcept { return reserve(limit) / 4; }

  // Call often, while no rollout runs: replaces the worker that uses the most memory when `room` is below reserve(). A
  // worker that has not grown since it became ready is never chosen: the next one would be no smaller.
  [[nodiscard]] Advice relieve(const std::vector<RecycleFacts>& workers, const MemoryRoom& room, std::uint64_t now);
  // The pid of the ready or draining worker to kill, if `room` is below last_reserve(). 0: none. Returns no other one
  // until gone() reports it.
  [[nodiscard]] int sacrifice(const std::vector<RecycleFacts>& workers, const MemoryRoom& room);

  // A worker has become ready with these figures: its limits count from there. For a worker without this call they
  // count from the first next() that sees it.
  void began(int pid, std::uint64_t requests, std::uint64_t memory);
  // The successor for the returned step has been started.
  void started(int successor) noexcept { successor_ = successor; }
  // The successor could not be started, or did not become ready: next() waits for kRetryMs.
  void failed(std::uint64_t now) noexcept;
  // The worker has ended. If it was the one to be replaced, the step has ended: a successor that is still starting is
  // now the slot's ordinary next worker.
  void gone(int pid) noexcept;

  [[nodiscard]] bool busy() const noexcept { return replaced_ != 0; }
  [[nodiscard]] int successor() const noexcept { return successor_; }  // 0: none is starting
  [[nodiscard]] int replaced() const noexcept { return replaced_; }    // 0: none
  void successor_is_ready() noexcept { successor_ = 0; }

 private:
  struct Baseline {
    std::uint64_t requests = 0;
    std::uint64_t memory = 0;
  };
  struct Due {
    const RecycleFacts* worker = nullptr;
    double excess = 0;  // value / limit
    std::string reason;
  };

  [[nodiscard]] const RecycleFacts* largest_grown(const std::vector<RecycleFacts>& workers) const;
  void note(const std::vector<RecycleFacts>& workers);
  [[nodiscard]] std::optional<Due> due(const RecycleFacts& worker, std::uint32_t slots) const;
  [[nodiscard]] std::string starts_too_large(const RecycleFacts& worker);

  std::unordered_map<int, Baseline> baselines_;  // by pid
  int replaced_ = 0;
  int successor_ = 0;
  std::uint64_t not_before_ms_ = 0;
  std::uint64_t waiting_since_ms_ = 0;  // for memory; 0: not waiting
  bool told_too_large_ = false;
  bool told_full_ = false;  // since there was room
  int sacrificed_ = 0;      // a pid; 0: none
};

}  // namespace pronghorn::supervisor
