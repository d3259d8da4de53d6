#include "supervisor/slots/restart_policy.h"

#include "support/catch.h"

using namespace std::chrono_literals;
using pronghorn::supervisor::RestartPolicy;

TEST_CASE("the first exit of a worker that was ready is followed by a start at once", "[supervisor]") {
  RestartPolicy policy;
  CHECK(policy.after_exit(1'000, 5s, 0.0) == 0ms);
}

TEST_CASE("the delay doubles with each exit, up to 30 seconds", "[supervisor]") {
  RestartPolicy policy;
  CHECK(policy.after_exit(1'000, 1s, 0.0) == 0ms);
  CHECK(policy.after_exit(1'000, 1s, 0.0) == 100ms);
  CHECK(policy.after_exit(1'000, 1s, 0.0) == 200ms);
  CHECK(policy.after_exit(1'000, 1s, 0.0) == 400ms);
  auto longest = 0ms;
  for (int i = 0; i < 5'000; ++i) longest = std::max(longest, policy.after_exit(1'000, 1s, 0.0));
  CHECK(longest == 30'000ms);
}

TEST_CASE("a worker that never became ready is not restarted immediately", "[supervisor]") {
  RestartPolicy policy;
  CHECK(policy.after_exit(1'000, -1ms, 0.0) == 100ms);
  CHECK(policy.after_exit(1'000, -1ms, 0.0) == 200ms);
}

TEST_CASE("a minute of stability resets the count of exits", "[supervisor]") {
  RestartPolicy policy;
  for (int i = 0; i < 8; ++i) (void)policy.after_exit(1'000, 1s, 0.0);
  CHECK(policy.after_exit(1'000, 59'999ms, 0.0) > 1s);
  CHECK(policy.after_exit(1'000, 60s, 0.0) == 0ms);
  CHECK(policy.after_exit(1'000, 1s, 0.0) == 100ms);
}

TEST_CASE("jitter moves a wait by at most a fifth", "[supervisor]") {
  RestartPolicy early;
  RestartPolicy late;
  CHECK(early.after_exit(1'000, -1ms, -1.0) == 80ms);
  CHECK(late.after_exit(1'000, -1ms, 1.0) == 120ms);
}

TEST_CASE("a series of exits is counted from its first, until a worker was stable", "[supervisor]") {
  RestartPolicy policy;
  (void)policy.after_exit(1'000, 1s, 0.0);
  (void)policy.after_exit(13'000, 1s, 0.0);
  CHECK(policy.series().exits == 2);
  CHECK(policy.series().began_ms == 1'000);
  (void)policy.after_exit(100'000, 60s, 0.0);
  CHECK(policy.series().exits == 1);
  CHECK(policy.series().began_ms == 100'000);
}
