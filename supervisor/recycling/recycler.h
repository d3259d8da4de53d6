// Replaces workers that are used, old or large, by the rules of Recycling.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "supervisor/recycling/recycling_policy.h"
#include "supervisor/system/memory_cgroups.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class Recycler {
 public:
  // Both outlive it.
  Recycler(Workers& workers, Scoreboard& board) : workers_(workers), board_(board) {}

  // Once a second, unless something else replaces workers just now.
  void tick(std::uint64_t now);
  // Workers reports here.
  void on_ready(const WorkerEntry& worker);
  void on_exit(const WorkerEntry& worker);

  // A successor has been started and is not ready yet.
  [[nodiscard]] bool surging() const noexcept { return policy_.successor() != 0; }

 private:
  [[nodiscard]] std::vector<RecycleFacts> facts(std::uint64_t now) const;
  void take(const Recycling::Step& step, std::uint64_t now);

  Workers& workers_;
  Scoreboard& board_;
  MemoryCgroups groups_;
  Recycling policy_;
  Launch launch_;  // of the awaited successor
};

}  // namespace pronghorn::supervisor
