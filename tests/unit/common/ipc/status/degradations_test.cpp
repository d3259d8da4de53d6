#include "common/ipc/status/degradations.h"

#include <algorithm>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/common/ipc/board_fixture.h"

using namespace pronghorn;

TEST_CASE("a degraded server says why") {
  Scoreboard board = make_board();
  CHECK(degradations(board) == std::vector<std::string>{"slot 1 has no worker: backoff"});
  board.slot(1).state = SlotState::starting;  // after a crash; the first start of a slot is no fault
  CHECK(degradations(board) == std::vector<std::string>{"slot 1 has no worker: starting"});
  board.slot(1).last_exit_at = 0;
  CHECK(degradations(board).empty());
  board.worker(0, 0).stamp_ms = monotonic_ms() - 5'000;
  CHECK(degradations(board) == std::vector<std::string>{"the worker in slot 0 is stuck for 5 s"});
  board.worker(0, 0).stamp_ms = monotonic_ms();
  board.worker(0, 0).redis_state = RedisState::down;
  board.worker(0, 0).redis_since_at = 1;
  board.worker(0, 0).redis_error.set("connection refused");
  CHECK(degradations(board) == std::vector<std::string>{"Redis is down: connection refused"});
  board.server().draining = 1;
  CHECK(degradations(board).front() == "the server is draining");
}

TEST_CASE("a server whose distributor has ended is degraded, unless it stops") {
  Scoreboard board = make_board();
  board.slot(kDistributorSlot).started_ms.store(1);
  const auto says_so = [&] {
    return std::ranges::count(degradations(board), "no distributor runs: connections wait in the accept queue") == 1;
  };
  CHECK(says_so());
  board.server().draining.store(1);
  CHECK_FALSE(says_so());
}
