#include "supervisor/workers/stall_watch.h"

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

TEST_CASE("a loop that waits is never taken for a blocked one", "[supervisor][stall]") {
  BusyLoop loop;
  for (std::uint64_t now = 1'000; now < 2'000; now += 50) CHECK(loop.see({.stamp_ms = 900, .busy = false}, now) == 0);
}

TEST_CASE("a loop is blocked from the start of its request", "[supervisor][stall]") {
  BusyLoop loop;
  CHECK(loop.see({.stamp_ms = 1'000, .busy = true, .running_since_ms = 1'010}, 1'050) == 40);
  CHECK(loop.see({.stamp_ms = 1'000, .busy = true, .running_since_ms = 1'010}, 1'110) == 100);
  CHECK(loop.first());
  CHECK_FALSE(loop.first());
}

TEST_CASE("a loop that was idle for a long time before a request is busy from the request on", "[supervisor][stall]") {
  BusyLoop loop;
  CHECK(loop.see({.stamp_ms = 1'000, .busy = false}, 1'200) == 0);
  CHECK(loop.see({.stamp_ms = 1'000, .busy = true, .running_since_ms = 1'240}, 1'250) == 10);
}

TEST_CASE("a coroutine that resumes counts as running since it was first seen", "[supervisor][stall]") {
  BusyLoop loop;
  CHECK(loop.see({.stamp_ms = 5'000, .busy = true, .running_since_ms = 1'000}, 5'200) == 0);
  CHECK(loop.see({.stamp_ms = 5'000, .busy = true, .running_since_ms = 1'000}, 5'310) == 110);
}

TEST_CASE("each turn is measured anew, and each stall is reported once", "[supervisor][stall]") {
  BusyLoop loop;
  (void)loop.see({.stamp_ms = 1'000, .busy = true}, 1'000);
  CHECK(loop.see({.stamp_ms = 1'000, .busy = true}, 1'200) == 200);
  CHECK(loop.first());
  CHECK(loop.see({.stamp_ms = 1'210, .busy = true}, 1'250) == 0);
  CHECK(loop.see({.stamp_ms = 1'210, .busy = true}, 1'400) == 150);
  CHECK(loop.first());
}

TEST_CASE("stalls are looked for twice per threshold, within bounds", "[supervisor][stall]") {
  CHECK(StallWatch::period(Milliseconds(100)) == Milliseconds(50));
  CHECK(StallWatch::period(Milliseconds(1)) == Milliseconds(10));
  CHECK(StallWatch::period(Milliseconds(0)) == Milliseconds(100));
  CHECK(StallWatch::period(Milliseconds(60'000)) == Milliseconds(100));
}
