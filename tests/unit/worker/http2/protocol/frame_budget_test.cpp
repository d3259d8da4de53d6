#include "worker/http2/protocol/frame_budget.h"

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

int spend_all(FrameBudget& budget, std::uint64_t tick) {
  int spent = 0;
  while (budget.spend(tick) && spent < 1'000'000) ++spent;
  return spent;
}

}  // namespace

TEST_CASE("a budget of frames allows a burst of five seconds", "[http2]") {
  FrameBudget budget(10, 100);
  CHECK(spend_all(budget, 100) == 50);
}

TEST_CASE("a budget of frames recovers with time, up to its burst", "[http2]") {
  constexpr std::uint64_t kSecond = 1000 / kTickMs;
  FrameBudget budget(10, 0);
  CHECK(spend_all(budget, 0) == 50);
  CHECK(spend_all(budget, 2 * kSecond) == 19);  // the one that was refused has cost as well
  CHECK(spend_all(budget, 1000 * kSecond) == 50);
}

TEST_CASE("useful work earns frames beside the budget", "[http2]") {
  FrameBudget budget(1, 0);
  budget.earn(20);
  CHECK(spend_all(budget, 0) == 25);
  budget.earn(FrameBudget::kMostEarned * 10);
  CHECK(spend_all(budget, 0) == FrameBudget::kMostEarned);
}

TEST_CASE("a budget of zero frames per second is none at all", "[http2]") {
  FrameBudget budget(0, 0);
  CHECK(spend_all(budget, 0) == 1'000'000);
}
