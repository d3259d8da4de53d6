#include "supervisor/load/autoscaler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pronghorn::supervisor {

void Autoscaler::set_bounds(std::uint32_t fewest, std::uint32_t most) noexcept {
  fewest_ = std::max<std::uint32_t>(fewest, 1);
  most_ = std::max(most, fewest_);
  high_since_ = low_since_ = 0;
}

std::uint32_t Autoscaler::update(const std::vector<double>& utilisation, std::uint32_t wanted,
                                 std::uint64_t now_ms) noexcept {
  if (!active()) return wanted;
  if (wanted < fewest_ || wanted > most_) return std::clamp(wanted, fewest_, most_);
  if (utilisation.empty()) {
    high_since_ = low_since_ = 0;
    return wanted;
  }
  const double load = std::accumulate(utilisation.begin(), utilisation.end(), 0.0);
  const double mean = load / static_cast<double>(utilisation.size());
  if (mean <= kTarget) high_since_ = 0;
  if (mean >= kLow) low_since_ = 0;

  if (mean > kTarget) {
    if (high_since_ == 0) high_since_ = now_ms;
    if (now_ms - high_since_ < kOutAfterMs) return wanted;
    const auto needed = static_cast<std::uint32_t>(std::ceil(load / kTarget - 1e-9));
    if (needed <= wanted) return wanted;  // those that are starting will carry it
    high_since_ = 0;                      // wait for their effect before adding more
    return std::min(needed, most_);
  }
  if (mean < kLow && wanted > fewest_) {
    if (low_since_ == 0) low_since_ = now_ms;
    if (now_ms - low_since_ < kInAfterMs) return wanted;
    low_since_ = now_ms;
    return wanted - 1;
  }
  return wanted;
}

}  // namespace pronghorn::supervisor
