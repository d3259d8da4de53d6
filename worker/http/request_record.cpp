#include "worker/http/request_record.h"

#include <chrono>
#include <cstddef>

namespace pronghorn::worker {

void record_request(WorkerRow& row, AccessLog& log, Exchange& exchange, int status, std::uint64_t bytes) {
  if (!exchange.counted) return;
  const auto elapsed = std::chrono::steady_clock::now() - exchange.started;
  const auto microseconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count());
  add(row[Count::requests]);
  add(row[responses_of(status)]);
  row.latency.record(microseconds);
  if (exchange.route_index < kMaxRoutes) {
    RouteRow& route = row.routes[exchange.route_index];
    add(route.requests);
    if (status >= 500) add(route.errors);
    route.latency.record(microseconds);
  }
  log.warn_if_slow(exchange, status, microseconds);
  if (log.enabled()) log.add(exchange, status, bytes, microseconds);
}

}  // namespace pronghorn::worker
