#include "supervisor/rollout/canary.h"

#include <fmt/format.h>

#include <utility>

namespace pronghorn::supervisor {
namespace {

constexpr double kPercentagePoint = 0.01;
constexpr double kLatencyFactor = 1.5;
constexpr std::uint64_t kLatencyStepUs = 10'000;

double share_failed(const Figures& figures) noexcept {
  return figures.requests == 0 ? 0 : static_cast<double>(figures.failed) / static_cast<double>(figures.requests);
}

double milliseconds(std::uint64_t microseconds) noexcept { return static_cast<double>(microseconds) / 1e3; }

// Rows are read while workers write them, so a counter can seem to have gone back.
std::uint64_t difference(std::uint64_t after, std::uint64_t before) noexcept {
  return after > before ? after - before : 0;
}

}  // namespace

void Figures::add(const WorkerRow& row) noexcept {
  failed += row[Count::responses_5xx].load();
  requests += row[Count::requests].load();
  latency.add(row.latency);
}

Figures Figures::since(const Figures& before) const noexcept {
  Figures out;
  out.requests = difference(requests, before.requests);
  out.failed = difference(failed, before.failed);
  out.latency.max = latency.max;
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    out.latency.counts[i] = difference(latency.counts[i], before.latency.counts[i]);
    out.latency.total += out.latency.counts[i];
  }
  return out;
}

std::string canary_verdict(const Figures& canary, const Figures& others) {
  const double failed = share_failed(canary);
  const double usual = others.requests < kEnoughForErrors ? 0 : share_failed(others);
  if (canary.requests >= kEnoughForErrors && failed > usual + kPercentagePoint && failed > 2 * usual) {
    return fmt::format("{:.1f} % of {} requests failed (5xx), {:.1f} % of the others'", failed * 100, canary.requests,
                       usual * 100);
  }
  if (canary.latency.total < kEnoughForLatency || others.latency.total < kEnoughForLatency) return {};
  const std::uint64_t slow = canary.latency.percentile(0.99);
  const std::uint64_t normal = others.latency.percentile(0.99);
  if (slow > normal + kLatencyStepUs && static_cast<double>(slow) > kLatencyFactor * static_cast<double>(normal)) {
    return fmt::format("the p99 of {} requests is {:.1f} ms, the others' is {:.1f} ms", canary.latency.total,
                       milliseconds(slow), milliseconds(normal));
  }
  return {};
}

CanaryWatch::CanaryWatch(const Scoreboard& board, std::uint32_t slot, std::uint32_t row, std::uint32_t slots,
                         Figures earlier)
    : board_(board), slot_(slot), row_(row), slots_(slots), earlier_(std::move(earlier)) {
  canary_before_.add(board_.worker(slot_, row_));
  others_before_ = sum_others();
}

Figures CanaryWatch::canary() const noexcept {
  Figures now;
  now.add(board_.worker(slot_, row_));
  return now.since(canary_before_);
}

Figures CanaryWatch::others() const noexcept { return slots_ > 1 ? sum_others().since(others_before_) : earlier_; }

Figures CanaryWatch::sum_others() const noexcept {
  Figures sum;
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    if (slot == slot_) continue;
    for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) sum.add(board_.worker(slot, row));
  }
  return sum;
}

Figures figures_of_slot(const Scoreboard& board, std::uint32_t slot) noexcept {
  Figures sum;
  for (std::uint32_t row = 0; row < kRowsPerSlot; ++row) sum.add(board.worker(slot, row));
  return sum;
}

}  // namespace pronghorn::supervisor
