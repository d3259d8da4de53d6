// Counts how often accepting stops for want of descriptors or memory, and tells it in the log: one line when it begins,
// one when it is over.
//
// Context: loop thread. One per process, for all of its acceptors.
#pragma once

#include <cstdint>

#include "common/ipc/scoreboard.h"

namespace pronghorn::worker {

class AcceptPauses {
 public:
  // `row` must outlive this.
  explicit AcceptPauses(WorkerRow& row) noexcept : row_(row) {}

  // Accepting from a listener has failed with `error`, an errno.
  void paused(int error) noexcept;
  // Call at each tick. The shortage is over when no accept has failed for kCalmMs.
  void look() noexcept;

 private:
  static constexpr std::uint64_t kCalmMs = 1'000;

  WorkerRow& row_;
  std::uint64_t began_ms_ = 0;  // 0: there is no shortage
  std::uint64_t last_ms_ = 0;
  std::uint64_t pauses_ = 0;  // since it began
};

}  // namespace pronghorn::worker
