#include "worker/process/heartbeat.h"

#include <algorithm>
#include <cstdint>
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

TEST_CASE("a turn of the loop that takes long is told with its beginning and end", "[overload]") {
  worker::TestLoop loop;
  const auto row = std::make_unique<WorkerRow>();
  worker::Heartbeat heartbeat(loop.loop(), *row, 1000ms, 0ms);
  std::uint64_t lasted = 0;
  heartbeat.on_long_turn([&](std::uint64_t began, std::uint64_t ended) { lasted = std::max(lasted, ended - began); });
  const UvPtr<uv_async_t> event(new uv_async_t);
  uv_async_init(loop.loop(), event.get(), [](uv_async_t*) {
    const std::uint64_t end = monotonic_ms() + 30;
    while (monotonic_ms() < end) {
    }
  });
  uv_async_send(event.get());
  loop.run_until([&] { return lasted > 0; });
  CHECK(lasted >= 25);
}
