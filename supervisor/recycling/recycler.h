// Replaces workers that have reached a limit of requests, age or memory or have lost their guardian, and the largest one
// when a control group's memory is nearly used up; RecyclingPolicy chooses them.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "supervisor/recycling/memory_headroom.h"
#include "supervisor/recycling/recycling_policy.h"
#include "supervisor/system/memory_cgroups.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class Recycler {
 public:
  // Both must outlive this.
  Recycler(Workers& workers, Scoreboard& board) : workers_(workers), board_(board) {}

  // Call once a second, unless a rollout is replacing workers.
  void tick(std::uint64_t now);
  // `may_replace`: no rollout is replacing workers; killing is always allowed. Returns when to call again, which is
  // sooner than kMemoryPeriod if memory is short. May have begun a replacement.
  static constexpr Milliseconds kMemoryPeriod{100};
  static constexpr Milliseconds kTightMemoryPeriod{20};
  Milliseconds watch_memory(std::uint64_t now, bool may_replace);
  // Workers reports here.
  void on_ready(const WorkerEntry& worker);
  void on_exit(const WorkerEntry& worker);

  // True if a successor has been started and is not ready yet.
  [[nodiscard]] bool surging() const noexcept { return policy_.successor() != 0; }

 private:
  [[nodiscard]] std::vector<RecycleFacts> facts(std::uint64_t now) const;
  [[nodiscard]] std::vector<RecycleFacts> memory_users() const;
  void relieve(const std::vector<RecycleFacts>& users, const MemoryRoom& room, std::uint64_t now);
  void take(const RecyclingPolicy::Step& step, std::uint64_t now);

  Workers& workers_;
  Scoreboard& board_;
  MemoryCgroups groups_;
  RecyclingPolicy policy_;
  Launch launch_;  // of the successor that is starting
};

}  // namespace pronghorn::supervisor
