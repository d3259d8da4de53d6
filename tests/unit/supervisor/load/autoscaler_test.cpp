#include "supervisor/load/autoscaler.h"

#include "support/catch.h"

using pronghorn::supervisor::Autoscaler;

namespace {

// One update a second with every worker equally busy; answers the number after `seconds`.
std::uint32_t run(Autoscaler& scaler, double busy, std::uint32_t workers, std::uint64_t& now, int seconds) {
  for (int i = 0; i < seconds; ++i) {
    workers = scaler.update(std::vector<double>(workers, busy), workers, now);
    now += 1'000;
  }
  return workers;
}

}  // namespace

TEST_CASE("a fixed number of workers is never changed", "[supervisor]") {
  Autoscaler scaler;
  scaler.set_bounds(2, 2);
  std::uint64_t now = 1'000;
  CHECK(run(scaler, 1.0, 2, now, 600) == 2);
  CHECK(run(scaler, 0.0, 2, now, 600) == 2);
}

TEST_CASE("two seconds above the target add the workers that the load needs", "[supervisor]") {
  Autoscaler scaler;
  scaler.set_bounds(1, 8);
  std::uint64_t now = 1'000;
  CHECK(run(scaler, 1.0, 2, now, 2) == 2);
  CHECK(run(scaler, 1.0, 2, now, 1) == 3);  // 2.0 of load at 70 % a worker
}

TEST_CASE("a short peak adds nothing", "[supervisor]") {
  Autoscaler scaler;
  scaler.set_bounds(1, 8);
  std::uint64_t now = 1'000;
  for (int i = 0; i < 100; ++i) {
    CHECK(run(scaler, 1.0, 2, now, 1) == 2);
    CHECK(run(scaler, 0.5, 2, now, 1) == 2);
  }
}

TEST_CASE("workers that boot are no capacity, but none are added for the same load", "[supervisor]") {
  Autoscaler scaler;
  scaler.set_bounds(1, 8);
  std::uint64_t now = 1'000;
  // Two are ready and full, a third is wanted and boots for half a minute.
  for (int i = 0; i < 30; ++i) {
    CHECK(scaler.update({1.0, 1.0}, 3, now) == 3);
    now += 1'000;
  }
}

TEST_CASE("a minute of idling removes one worker, then another minute the next", "[supervisor]") {
  Autoscaler scaler;
  scaler.set_bounds(1, 8);
  std::uint64_t now = 1'000;
  CHECK(run(scaler, 0.1, 3, now, 60) == 3);
  CHECK(run(scaler, 0.1, 3, now, 1) == 2);
  CHECK(run(scaler, 0.1, 2, now, 59) == 2);
  CHECK(run(scaler, 0.1, 2, now, 1) == 1);
  CHECK(run(scaler, 0.1, 1, now, 600) == 1);
}

TEST_CASE("a busy moment restarts the minute of idling", "[supervisor]") {
  Autoscaler scaler;
  scaler.set_bounds(1, 8);
  std::uint64_t now = 1'000;
  for (int i = 0; i < 10; ++i) {
    CHECK(run(scaler, 0.1, 2, now, 50) == 2);
    CHECK(run(scaler, 0.5, 2, now, 1) == 2);
  }
}

TEST_CASE("the number stays within its bounds, also when they move", "[supervisor]") {
  Autoscaler scaler;
  scaler.set_bounds(2, 4);
  std::uint64_t now = 1'000;
  CHECK(run(scaler, 1.0, 2, now, 60) == 4);
  scaler.set_bounds(1, 3);
  CHECK(scaler.update({0.5, 0.5, 0.5, 0.5}, 4, now) == 3);
  scaler.set_bounds(5, 9);
  CHECK(scaler.update({}, 3, now) == 5);
}
