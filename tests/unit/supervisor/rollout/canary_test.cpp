#include "supervisor/rollout/canary.h"

#include <memory>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

// `requests` answers, of which `failed` were 5xx; one in fifty took `slow_ms`, the others 1 ms.
Figures figures(std::uint64_t requests, std::uint64_t failed, std::uint64_t slow_ms = 1) {
  const auto row = std::make_unique<WorkerRow>();
  (*row)[Count::requests].store(requests);
  (*row)[Count::responses_5xx].store(failed);
  for (std::uint64_t i = 0; i < requests; ++i) row->latency.record(i % 50 == 0 ? slow_ms * 1000 : 1000);
  Figures out;
  out.add(*row);
  return out;
}

}  // namespace

TEST_CASE("a canary that fails more often is reported with the figures", "[canary]") {
  CHECK(canary_verdict(figures(250, 30), figures(1000, 1)) ==
        "12.0 % of 250 requests failed (5xx), 0.1 % of the others'");
}

// A producer that throws answers 200.
TEST_CASE("a canary that cuts its responses off fails", "[canary]") {
  const auto owned = std::make_unique<WorkerRow>();
  WorkerRow& row = *owned;
  row[Count::requests].store(50);
  row[Count::lost_cut].store(150);
  Figures cutting;
  cutting.add(row);
  CHECK(canary_verdict(cutting, figures(1000, 0)) ==
        "75.0 % of 200 requests failed (5xx or cut off), 0.0 % of the others'");
  CHECK(fails_badly(cutting));
}

TEST_CASE("a canary as good as the others passes", "[canary]") {
  CHECK(canary_verdict(figures(1000, 0), figures(1000, 0)).empty());
  CHECK(canary_verdict(figures(0, 0), figures(1000, 500)).empty());
  CHECK(canary_verdict(figures(250, 2), figures(1000, 0)).empty());       // 0.8 points more
  CHECK(canary_verdict(figures(1000, 190), figures(1000, 100)).empty());  // not twice as many
  CHECK_FALSE(canary_verdict(figures(1000, 210), figures(1000, 100)).empty());
}

TEST_CASE("few requests of a canary prove nothing", "[canary]") {
  CHECK(canary_verdict(figures(19, 19), figures(1000, 0)).empty());
  CHECK_FALSE(canary_verdict(figures(20, 20), figures(1000, 0)).empty());
  CHECK(canary_verdict(figures(99, 0, 500), figures(1000, 0)).empty());
  CHECK(canary_verdict(figures(1000, 0, 500), figures(99, 0)).empty());
}

TEST_CASE("a canary is not excused by others that have answered too few requests", "[canary]") {
  CHECK_FALSE(canary_verdict(figures(100, 5), figures(0, 0)).empty());
  CHECK_FALSE(canary_verdict(figures(100, 5), figures(2, 2)).empty());
}

TEST_CASE("a canary whose slowest requests are much slower is reported with the figures", "[canary]") {
  CHECK(canary_verdict(figures(1000, 0, 40), figures(1000, 0, 20)).starts_with("the p99 of 1000 requests is 4"));
  CHECK(canary_verdict(figures(1000, 0, 9), figures(1000, 0, 1)).empty());      // nine times, but 8 ms
  CHECK(canary_verdict(figures(1000, 0, 130), figures(1000, 0, 100)).empty());  // 30 ms, but 1.3 times
}

TEST_CASE("the figures of a canary are those of its time alone", "[canary]") {
  Scoreboard board = Scoreboard::create();
  board.worker(0, 1)[Count::requests].store(500);
  board.worker(0, 1)[Count::responses_5xx].store(400);
  board.worker(1, 0)[Count::requests].store(50);
  const CanaryWatch watch(board, {.pid = 1, .slot = 0, .row = 1}, 2, figures(7, 0));
  board.worker(0, 0)[Count::requests].store(1000);  // the worker that it replaces
  board.worker(0, 1)[Count::requests].store(510);
  board.worker(0, 1)[Count::responses_5xx].store(403);
  board.worker(0, 1).latency.record(1000);
  board.worker(1, 0)[Count::requests].store(54);
  board.worker(1, 1)[Count::requests].store(2);
  board.worker(2, 0)[Count::requests].store(100);  // a slot that was added meanwhile
  CHECK(watch.canary().requests == 10);
  CHECK(watch.canary().failed == 3);
  CHECK(watch.canary().latency.total == 1);
  CHECK(watch.others().requests == 6);
}

TEST_CASE("the canary of a single slot is compared with what the slot answered before", "[canary]") {
  const Scoreboard board = Scoreboard::create();
  CHECK(CanaryWatch(board, {.pid = 1, .slot = 0, .row = 0}, 1, figures(7, 0)).others().requests == 7);
}

TEST_CASE("a canary that fails at least half of its requests is judged before its time", "[canary]") {
  CHECK(fails_badly(figures(20, 20)));
  CHECK(fails_badly(figures(20, 10)));
  CHECK_FALSE(fails_badly(figures(20, 9)));
  CHECK_FALSE(fails_badly(figures(19, 19)));
}

TEST_CASE("a canary with few requests that hangs is worse than others that answer", "[canary]") {
  Figures hanging = figures(0, 0);
  hanging.hung = 4;
  hanging.silent_ms = 3'000;
  CHECK(canary_verdict(hanging, figures(9, 0)) == "it has answered nothing for 3.0 s, with 4 requests in flight");
  CHECK(canary_verdict(hanging, figures(100, 0, 5'000)).empty());  // the others take as long
  Figures silent = figures(0, 0);
  silent.silent_ms = 3'000;
  CHECK(canary_verdict(hanging, silent).empty());
}

TEST_CASE("a canary that hangs is worse although it answers its health checks", "[canary]") {
  Figures hanging = figures(30, 0);
  hanging.hung = 70;
  CHECK(canary_verdict(hanging, figures(300, 0)) == "70 of 100 requests have not been answered");
  Figures as_busy = figures(300, 0);
  as_busy.hung = 400;
  CHECK(canary_verdict(hanging, as_busy).empty());
  hanging.hung = 2;  // slow ones, as everywhere
  CHECK(canary_verdict(hanging, figures(300, 0)).empty());
}

TEST_CASE("requests hang when they are in flight for a whole second", "[canary]") {
  Scoreboard board = Scoreboard::create();
  WorkerRow& row = board.worker(0, 1);
  CanaryWatch watch(board, {.pid = 1, .slot = 0, .row = 1}, 2, {});
  row[Count::in_flight].store(5);
  watch.look(10'000);
  watch.look(10'900);
  CHECK(watch.canary().hung == 0);
  row[Count::in_flight].store(3);
  watch.look(11'000);
  CHECK(watch.canary().hung == 3);
  CHECK(watch.canary().silent_ms == 1'000);
  row[Count::requests].store(1);
  watch.look(11'100);
  CHECK(watch.canary().silent_ms == 0);
  row[Count::in_flight].store(0);
  watch.look(11'200);
  CHECK(watch.canary().hung == 0);
}

TEST_CASE("a canary whose event loop is stuck is judged at once, however few requests it had", "[canary]") {
  Figures stuck = figures(0, 0);
  stuck.stuck_ms = 2'500;
  CHECK(fails_badly(stuck));
  CHECK(canary_verdict(stuck, figures(9, 0)) == "its event loop has been blocked for 2.5 s");
  CHECK(canary_verdict(stuck, figures(0, 0)) == "its event loop has been blocked for 2.5 s");
  CHECK(canary_verdict(stuck, figures(100, 0, 5'000)).empty());  // the others' requests take as long
  Figures too = figures(9, 0);
  too.stuck_ms = 2'000;
  CHECK(canary_verdict(stuck, too).empty());
}

TEST_CASE("a canary whose requests block its event loop is worse than others whose do not", "[canary]") {
  Figures blocking = figures(9, 0);
  blocking.stalls = 3;
  CHECK(canary_verdict(blocking, figures(50, 0)) ==
        "its event loop was blocked 3 times by 9 requests, the others' 0 times by 50");
  Figures alike = figures(50, 0);
  alike.stalls = 10;
  CHECK(canary_verdict(blocking, alike).empty());
  CHECK(canary_verdict(blocking, figures(0, 0)) != "");
  blocking.stalls = 2;
  CHECK(canary_verdict(blocking, figures(50, 0)).empty());
  Figures busy = figures(90, 0);
  busy.stalls = 8;  // one in eleven: the machine
  CHECK(canary_verdict(busy, figures(50, 0)).empty());
}

TEST_CASE("a canary is stuck when its loop has not turned, unless nobody could run", "[canary]") {
  Scoreboard board = Scoreboard::create();
  board.worker(0, 1).pid = 1;
  board.worker(0, 1).phase = WorkerPhase::ready;
  board.worker(0, 1).stamp_ms = 10'000;
  WorkerRow& other = board.worker(1, 0);
  other.pid = 2;
  other.phase = WorkerPhase::ready;
  other.stamp_ms = 12'000;
  CanaryWatch watch(board, {.pid = 1, .slot = 0, .row = 1}, 2, {});
  watch.look(12'400);  // the first look may be late
  CHECK(watch.canary().stuck_ms == 0);
  watch.look(12'500);
  CHECK(watch.canary().stuck_ms == 2'500);
  CHECK(watch.others().stuck_ms == 0);
  watch.look(19'000);  // the supervisor could not run
  CHECK(watch.canary().stuck_ms == 0);
  watch.look(19'100);
  CHECK(watch.canary().stuck_ms == 9'100);
  CHECK(watch.others().stuck_ms == 7'100);
}
