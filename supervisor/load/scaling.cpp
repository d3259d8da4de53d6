#include "supervisor/load/scaling.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"

namespace pronghorn::supervisor {

std::expected<void, std::string> Scaling::start(const Config& config) {
  autoscaler_.set_bounds(config.min_workers, config.max_workers);
  if (auto scaled = workers_.scale(config.min_workers); !scaled) return std::unexpected(std::move(scaled.error()));
  return {};
}

void Scaling::reconfigure(const Config& config) {
  set_by_hand_ = false;
  autoscaler_.set_bounds(config.min_workers, config.max_workers);
  const std::uint32_t before = workers_.slots().target();
  const auto scaled = workers_.scale(std::clamp(before, config.min_workers, config.max_workers));
  if (!scaled) {
    log_error(scaled.error());
  } else if (*scaled != before) {
    log_info(fmt::format("scaled from {} to {} workers, as configured", before, *scaled));
  }
}

std::expected<std::uint32_t, std::string> Scaling::set(std::int64_t workers) {
  const std::uint32_t before = workers_.slots().target();
  auto scaled = workers_.scale(workers);
  if (!scaled) return scaled;
  const bool was_automatic = autoscaler_.active();
  set_by_hand_ = true;
  autoscaler_.set_bounds(*scaled, *scaled);
  if (*scaled != before) log_info(fmt::format("scaled from {} to {} workers", before, *scaled));
  if (was_automatic) log_info("autoscaling is off until the next reload");
  return scaled;
}

std::expected<std::uint32_t, std::string> Scaling::step(std::int64_t step) {
  return set(static_cast<std::int64_t>(workers_.slots().target()) + step);
}

void Scaling::tick(std::uint64_t now) {
  if (!autoscaler_.active()) return;
  const std::uint32_t target = workers_.slots().target();
  const std::uint32_t better = autoscaler_.update(sampler_.utilisations(), target, now);
  if (better == target) return;
  const auto scaled = workers_.scale(better);
  log_info(scaled ? fmt::format("scaled from {} to {} workers", target, *scaled) : scaled.error());
}

void Scaling::resume(const Config& config, std::uint32_t workers, bool set_by_hand) {
  set_by_hand_ = set_by_hand;
  if (set_by_hand) {
    autoscaler_.set_bounds(workers, workers);
  } else {
    autoscaler_.set_bounds(config.min_workers, config.max_workers);
  }
  if (const auto scaled = workers_.scale(workers); !scaled) log_error(scaled.error());
}

}  // namespace pronghorn::supervisor
