// How many workers the server runs: the options `workers`, the autoscaler, and what an operator sets by hand.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "common/config/config.h"
#include "supervisor/load/autoscaler.h"
#include "supervisor/load/sampler.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class Scaling {
 public:
  // Both must outlive this.
  Scaling(Workers& workers, const Sampler& sampler) : workers_(workers), sampler_(sampler) {}

  // Starts min_workers workers, and the autoscaler when max_workers is larger. The error is one line.
  [[nodiscard]] std::expected<void, std::string> start(const Config& config);
  // After a rollout: the number is what the new configuration says; a number set by hand no longer counts.
  void reconfigure(const Config& config);

  // Sets the number of workers by hand, or changes it by `step`. It stays until reconfigure(): the autoscaler is off.
  // Returns the new number, from 1 to kMaxWorkers. The error is one line.
  std::expected<std::uint32_t, std::string> set(std::int64_t workers);
  std::expected<std::uint32_t, std::string> step(std::int64_t step);

  // The autoscaler, once a second while the server runs.
  void tick(std::uint64_t now);

  // For the replacement of the supervisor's program.
  [[nodiscard]] bool set_by_hand() const noexcept { return set_by_hand_; }
  void resume(const Config& config, std::uint32_t workers, bool set_by_hand);

 private:
  Workers& workers_;
  const Sampler& sampler_;
  Autoscaler autoscaler_;
  bool set_by_hand_ = false;
};

}  // namespace pronghorn::supervisor
