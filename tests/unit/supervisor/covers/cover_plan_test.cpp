#include "supervisor/covers/cover_plan.h"

#include "support/catch.h"

using pronghorn::supervisor::CoverPlan;

TEST_CASE("a slot without a worker is covered by a ready one until it has its own again", "[supervisor]") {
  CoverPlan covers;
  auto changes = covers.update({{0, false, 100}, {1, true, 0}});
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].cover);
  CHECK(changes[0].pid == 100);
  CHECK(changes[0].slot == 1);
  CHECK(covers.update({{0, false, 100}, {1, true, 0}}).empty());
  changes = covers.update({{0, false, 100}, {1, false, 101}});
  REQUIRE(changes.size() == 1);
  CHECK_FALSE(changes[0].cover);
  CHECK(changes[0].pid == 100);
}

TEST_CASE("several slots without a worker are spread over those that have one", "[supervisor]") {
  CoverPlan covers;
  const auto changes = covers.update({{0, false, 100}, {1, true, 0}, {2, true, 0}, {3, false, 103}});
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].pid != changes[1].pid);
}

TEST_CASE("a cover moves when the covering worker has ended", "[supervisor]") {
  CoverPlan covers;
  (void)covers.update({{0, false, 100}, {1, true, 0}, {2, false, 102}});
  const auto changes = covers.update({{0, true, 0}, {1, true, 0}, {2, false, 102}});
  REQUIRE(changes.size() == 2);
  for (const auto& change : changes) {
    CHECK(change.cover);
    CHECK(change.pid == 102);
  }
}

TEST_CASE("no slot is covered while no worker is ready, but later it is", "[supervisor]") {
  CoverPlan covers;
  CHECK(covers.update({{0, true, 0}, {1, true, 0}}).empty());
  CHECK(covers.update({{0, false, 100}, {1, true, 0}}).size() == 1);
}

TEST_CASE("a cover whose message was lost is tried again", "[supervisor]") {
  CoverPlan covers;
  CHECK(covers.update({{0, false, 100}, {1, true, 0}}).size() == 1);
  covers.forget(1);
  CHECK(covers.update({{0, false, 100}, {1, true, 0}}).size() == 1);
}

TEST_CASE("a blocked worker is covered, covers no slot, and gives up the slots that it covered", "[supervisor]") {
  CoverPlan covers;
  (void)covers.update({{.slot = 0, .ready_pid = 100}, {.slot = 1, .needs_cover = true}});  // 100 covers slot 1
  auto changes = covers.update({{.slot = 0, .needs_cover = true, .ready_pid = 100, .unable = true},
                                {.slot = 1, .needs_cover = true},
                                {.slot = 2, .ready_pid = 102}});
  REQUIRE(changes.size() == 3);
  CHECK_FALSE(changes[0].cover);
  CHECK(changes[0].pid == 100);
  CHECK(changes[0].slot == 1);
  for (std::size_t i = 1; i < 3; ++i) {
    CHECK(changes[i].cover);
    CHECK(changes[i].pid == 102);
  }
  changes =
      covers.update({{.slot = 0, .ready_pid = 100}, {.slot = 1, .needs_cover = true}, {.slot = 2, .ready_pid = 102}});
  REQUIRE(changes.size() == 1);
  CHECK_FALSE(changes[0].cover);
  CHECK(changes[0].slot == 0);
}
