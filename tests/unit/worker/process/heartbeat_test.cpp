#include "worker/process/heartbeat.h"

#include <memory>

#include "support/catch.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace std::chrono_literals;

// The worker once stored the idle time of its own process, so rate() saw a reset after each restart.
TEST_CASE("idle time goes on from where the worker before it stopped") {
  worker::TestLoop loop;
  REQUIRE(uv_loop_configure(loop.loop(), UV_METRICS_IDLE_TIME) == 0);
  const auto row = std::make_unique<WorkerRow>();
  constexpr std::uint64_t kBefore = 3'600'000'000;  // an hour
  row->counters[Count::loop_idle] = kBefore;
  const worker::Heartbeat heartbeat(loop.loop(), *row, 40ms, 0ms);
  loop.run_until([&] { return row->counters[Count::loop_idle].load() != kBefore; });
  CHECK(row->counters[Count::loop_idle].load() > kBefore);
}
