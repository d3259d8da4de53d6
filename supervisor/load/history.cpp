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

// Single writer; readers run meanwhile.
void write(HistoryRing& ring, const HistoryPoint& point) {
  const std::uint32_t index = ring.next.load() % kHistorySamples;
  HistorySample& sample = ring.samples[index];
  sample.at.store(0);  // no reader takes a sample that is half new
  sample.requests.store(point.requests);
  sample.errors.store(point.errors);
  sample.restarts.store(point.restarts);
  sample.p50_us.store(point.p50_us);
  sample.p99_us.store(point.p99_us);
  sample.at.store(point.at);
  ring.next.store((index + 1) % kHistorySamples, std::memory_order_release);
}

}  // namespace

std::vector<HistoryPoint> points_of(const HistoryRing& ring) {
  std::vector<HistoryPoint> points;
  const std::size_t first = ring.next.load();
  for (std::size_t i = 0; i < kHistorySamples; ++i) {
    const HistorySample& sample = ring.samples[(first + i) % kHistorySamples];
    if (sample.at.load() == 0) continue;
    points.push_back({.at = sample.at.load(),
                      .requests = sample.requests.load(),
                      .errors = sample.errors.load(),
                      .restarts = sample.restarts.load(),
                      .p50_us = sample.p50_us.load(),
                      .p99_us = sample.p99_us.load()});
  }
  return points;
}

void restore(HistoryRing& ring, const std::vector<HistoryPoint>& points) {
  for (const HistoryPoint& point : points) write(ring, point);
}

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
  write(board_.history(), {.at = at,
                           .requests = difference(last_.requests, before.requests),
                           .errors = difference(last_.errors, before.errors),
                           .restarts = difference(last_.restarts, before.restarts),
                           .p50_us = latency.percentile(0.50),
                           .p99_us = latency.percentile(0.99)});
}

}  // namespace pronghorn::supervisor
