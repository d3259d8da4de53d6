#include "supervisor/load/history.h"

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

TEST_CASE("each interval of the history has what happened in it", "[history]") {
  Scoreboard board = Scoreboard::create();
  board.server().slots = 1;
  board.slot(0).pid = 10;
  WorkerRow& row = board.worker(0, 0);
  row.pid = 10;
  row.stamp_ms = 1;
  History history(board);
  row[Count::requests].store(100);  // before the history begins
  history.tick(1'000, 5'000);
  row[Count::requests].store(107);
  row[Count::responses_5xx].store(2);
  row.latency.record(3'000);
  board.slot(0)[Count::restarts].store(1);
  history.tick(1'000 + kHistoryIntervalMs - 1, 5'009);
  CHECK(board.history().next == 0);
  history.tick(1'000 + kHistoryIntervalMs, 5'010);
  REQUIRE(board.history().next == 1);
  const HistorySample& sample = board.history().samples[0];
  CHECK(sample.at == 5'010);
  CHECK(sample.requests == 7);
  CHECK(sample.errors == 2);
  CHECK(sample.restarts == 1);
  CHECK(sample.p50_us >= 2'900);
}

TEST_CASE("the history is a ring of the last hour", "[history]") {
  Scoreboard board = Scoreboard::create();
  History history(board);
  for (std::uint64_t i = 0; i <= kHistorySamples + 1; ++i) history.tick(1'000 + i * kHistoryIntervalMs, 1'000 + i);
  CHECK(board.history().next == 1);
  CHECK(board.history().samples[0].at == 1'000 + kHistorySamples + 1);
  CHECK(board.history().samples[1].at == 1'002);
}

TEST_CASE("the history goes on in the scoreboard of another build", "[history]") {
  Scoreboard old_board = Scoreboard::create();
  History history(old_board);
  for (std::uint64_t i = 0; i <= kHistorySamples + 1; ++i) history.tick(1'000 + i * kHistoryIntervalMs, 1'000 + i);
  Scoreboard board = Scoreboard::create();
  restore(board.history(), points_of(old_board.history()));
  const auto points = points_of(board.history());
  REQUIRE(points.size() == kHistorySamples);
  CHECK(points.front().at == 1'002);
  CHECK(points.back().at == 1'001 + kHistorySamples);
  History next(board);
  next.tick(1'000, 9'000);
  next.tick(1'000 + kHistoryIntervalMs, 9'010);
  CHECK(points_of(board.history()).front().at == 1'003);
  CHECK(points_of(board.history()).back().at == 9'010);
}

TEST_CASE("more samples than a ring has leave the last hour", "[history]") {
  std::vector<HistoryPoint> points;
  for (std::uint64_t i = 1; i <= kHistorySamples + 5; ++i) points.push_back({.at = i});
  Scoreboard board = Scoreboard::create();
  restore(board.history(), points);
  CHECK(points_of(board.history()).front().at == 6);
}
