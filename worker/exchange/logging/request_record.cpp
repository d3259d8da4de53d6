#include "worker/exchange/logging/request_record.h"

#include <chrono>
#include <cstddef>

namespace pronghorn::worker {
namespace {

int logged_status(Lost why) noexcept {
  switch (why) {
    case Lost::client_left:
      return 499;
    case Lost::cut:
      return 444;
    case Lost::worker_died:
      return 445;
  }
  return 0;
}

std::uint64_t microseconds_since(std::chrono::steady_clock::time_point start) noexcept {
  const auto elapsed = std::chrono::steady_clock::now() - start;
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
}

}  // namespace

void record_request(WorkerRow& row, AccessLog& log, Exchange& exchange, int status, std::uint64_t bytes) {
  if (!exchange.counted) return;
  const std::uint64_t microseconds = microseconds_since(exchange.started);
  if (log.is_long(microseconds)) [[unlikely]] {
    if (exchange.owner->client_left()) return record_lost_request(row, log, exchange, Lost::client_left, 0);
    log.warn_if_slow(exchange, status, microseconds);
  }
  add(row[Count::requests]);
  add(row[responses_of(status)]);
  row.latency.record(microseconds);
  if (exchange.route_index < kMaxRoutes) {
    RouteRow& route = row.routes[exchange.route_index];
    add(route.requests);
    if (status >= 500) add(route.errors);
    route.latency.record(microseconds);
  }
  if (log.enabled()) log.add(exchange, status, bytes, microseconds);
}

void count_lost_response(WorkerRow& row, Lost why) noexcept {
  if (why == Lost::cut) add(row[Count::lost_cut]);
  if (why == Lost::client_left) add(row[Count::lost_client_left]);
}

void record_lost_request(WorkerRow& row, AccessLog& log, Exchange& exchange, Lost why, std::uint64_t bytes) {
  const std::uint64_t microseconds = microseconds_since(exchange.started);
  count_lost_response(row, why);
  row.latency.record(microseconds);
  if (exchange.route_index < kMaxRoutes) row.routes[exchange.route_index].latency.record(microseconds);
  log.warn_if_slow(exchange, logged_status(why), microseconds);
  if (log.enabled()) log.add(exchange, logged_status(why), bytes, microseconds);
}

}  // namespace pronghorn::worker
