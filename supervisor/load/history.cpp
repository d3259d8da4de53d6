#include "supervisor/load/history.h"

#include <utility>

#include "common/ipc/status/fleet.h"

namespace pronghorn::supervisor {
namespace {

// Rows are read while workers write them, so a sum can seem to have gone back.
std::uint64_t difference(std::uint64_t after, std::uint64_t before) noexcept {
  return after > before ? after - before : 0;
}

LatencyHistogram::Sum difference(const LatencyHistogram::Sum& after, const LatencyHistogram::Sum& before) noexcept {
  LatencyHistogram::Sum out;
  out.max = after.max;
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    out.counts[i] = difference(after.counts[i], before.counts[i]);
    out.total += out.counts[i];
  }
  return out;
}

}  // namespace

History::Totals History::totals() const {
  const SlotSum sum = sum_all(board_, sum_slots(board_));
  return {.requests = sum[Count::requests],
          .errors = sum[Count::responses_5xx],
          .restarts = sum[Count::restarts],
          .latency = sum.latency};
}

void History::tick(std::uint64_t now, std::uint64_t at) {
  if (last_ms_ == 0) {
    last_ = totals();
    last_ms_ = now;
    return;
  }
  if (now - last_ms_ < kHistoryIntervalMs) return;
  last_ms_ = now;
  const Totals before = std::exchange(last_, totals());
  const LatencyHistogram::Sum latency = difference(last_.latency, before.latency);
  HistoryRing& ring = board_.history();
  const std::uint32_t index = ring.next.load() % kHistorySamples;
  HistorySample& sample = ring.samples[index];
  sample.at.store(0);  // no reader takes a sample that is half new
  sample.requests.store(difference(last_.requests, before.requests));
  sample.errors.store(difference(last_.errors, before.errors));
  sample.restarts.store(difference(last_.restarts, before.restarts));
  sample.p50_us.store(latency.percentile(0.50));
  sample.p99_us.store(latency.percentile(0.99));
  sample.at.store(at);
  ring.next.store((index + 1) % kHistorySamples, std::memory_order_release);
}

}  // namespace pronghorn::supervisor
