#include "common/ipc/status/fleet.h"

#include <sys/stat.h>

#include <algorithm>

#include "support/catch.h"
#include "unit/common/ipc/board_fixture.h"

using namespace pronghorn;

TEST_CASE("a slot counts what its old and its new worker did") {
  const Scoreboard board = make_board();
  const auto sums = sum_slots(board);
  REQUIRE(sums.size() == 2);
  CHECK(sums[0][Count::requests] == 30);
  CHECK(sums[0][Count::connections] == 10);
  CHECK(sums[0].latency.total == 30);
  CHECK(sums[0].redis_state == RedisState::up);
}

TEST_CASE("a dead worker keeps its counters and loses its gauges") {
  const Scoreboard board = make_board();
  const auto sums = sum_slots(board);
  CHECK(sums[1][Count::requests] == 7);
  CHECK(sums[1][Count::connections] == 0);
  CHECK(sums[1][Count::in_flight] == 0);
  CHECK(sums[1].redis_state == RedisState::off);
}

// The supervisor clears the pid of a row whose worker has ended; totals once fell to zero after a rollout.
TEST_CASE("a row whose worker has ended still counts") {
  Scoreboard board = make_board();
  board.worker(0, 1).pid = 0;
  CHECK(sum_slots(board)[0][Count::requests] == 30);
}

TEST_CASE("a slot that was scaled away still counts but is no worker") {
  Scoreboard board = make_board();
  board.server().slots = 1;
  const auto sums = sum_slots(board);
  REQUIRE(sums.size() == 2);
  CHECK(sums[0].listed);
  CHECK_FALSE(sums[1].listed);
  CHECK(sum_all(board, sums)[Count::requests] == 37);
}

TEST_CASE("a slot that is being scaled away is a worker while its process lives") {
  Scoreboard board = make_board();
  board.server().slots = 1;
  board.slot(1).pid = 4003;
  CHECK(sum_slots(board)[1].listed);
}

TEST_CASE("routes of all workers are merged by name, the busiest first") {
  const Scoreboard board = make_board();
  const auto routes = sum_routes(board);
  REQUIRE(routes.size() == 2);
  CHECK(routes[0].route == "GET /users/{id}");
  CHECK(routes[0].requests == 24);
  CHECK(routes[0].errors == 2);
  CHECK(routes[0].latency.total == 24);
  CHECK(routes[1].route == "GET /hello");
}

TEST_CASE("the WebSockets of a route are those of living workers, their messages those of all") {
  Scoreboard board = make_board();
  CHECK_FALSE(sum_routes(board)[0].sockets);
  for (const std::uint32_t row : {0, 1}) {
    board.worker(0, row).routes[row].route.set("GET /rooms");
    set_sockets(board.worker(0, row).routes[row].sockets, 100);
  }
  board.worker(1, 0).routes[0].route.set("GET /rooms");
  set_sockets(board.worker(1, 0).routes[0].sockets, 1);  // its worker was killed
  const auto routes = sum_routes(board);
  const auto rooms = std::ranges::find(routes, "GET /rooms", &RouteSum::route);
  REQUIRE(rooms != routes.end());
  REQUIRE(rooms->sockets);
  CHECK(rooms->sockets->open == 200);
  CHECK(rooms->sockets->queued == 400);
  CHECK(rooms->sockets->messages_in == 603);
  CHECK(rooms->sockets->messages_out == 804);
  CHECK(rooms->sockets->bytes_in == 1005);
  CHECK(rooms->sockets->bytes_out == 1206);
  CHECK(rooms->sockets->skipped == 1407);
}

TEST_CASE("the fleet is ready when a worker is, Redis answers and nothing drains") {
  Scoreboard board = make_board();
  CHECK(fleet_readiness(board).ready());
  board.server().draining = 1;
  CHECK_FALSE(fleet_readiness(board).ready());
  CHECK(fleet_readiness(board).draining);
  board.server().draining = 0;
  board.slot(0).state = SlotState::starting;
  CHECK_FALSE(fleet_readiness(board).started);
}

TEST_CASE("Redis counts as reachable only through a ready worker that lives") {
  Scoreboard board = make_board();
  board.worker(0, 0).redis_state = RedisState::connecting;
  board.worker(0, 1).redis_state = RedisState::up;  // draining; slot 1's worker says up, too, but is dead
  CHECK(fleet_redis(board).state == RedisState::connecting);
  CHECK_FALSE(fleet_readiness(board).redis);
  board.worker(0, 0).redis_state = RedisState::down;
  CHECK(fleet_redis(board).state == RedisState::down);
  board.server().redis_mode.set("none");
  CHECK(fleet_readiness(board).redis);
}

// The watchdog leaves such a worker alone, but /status, /ready and the canary took it for one that hangs.
TEST_CASE("a worker that goes from one request to the next is not stuck, although its loop does not turn") {
  Scoreboard board = make_board();
  WorkerRow& row = board.worker(0, 0);
  const std::uint64_t now = monotonic_ms();
  row.stamp_ms = now - 9'000;
  row.running.started_ns = (now - 100) * 1'000'000;
  CHECK(stuck_seconds(row, now) == 0);
  CHECK_FALSE(fleet_readiness(board).stuck);
  row.running.started_ns = (now - 3'000) * 1'000'000;
  CHECK(stuck_seconds(row, now) == 3);
  CHECK(fleet_readiness(board).stuck);
}

TEST_CASE("the fleet is not ready while every ready worker is stuck") {
  Scoreboard board = make_board();
  board.worker(0, 0).stamp_ms = monotonic_ms() - 5'000;
  CHECK(fleet_readiness(board).stuck);
  CHECK_FALSE(fleet_readiness(board).ready());
  board.slot(1).state = SlotState::ready;  // another worker turns
  CHECK_FALSE(fleet_readiness(board).stuck);
  CHECK(fleet_readiness(board).ready());
}

TEST_CASE("a server that requires nothing is ready without Redis") {
  Scoreboard board = make_board();
  board.worker(0, 0).redis_state = RedisState::down;
  CHECK_FALSE(fleet_readiness(board).redis);
  board.server().ready_without_redis = 1;
  CHECK(fleet_readiness(board).redis);
}

TEST_CASE("reporting allocates no memory for unused rows") {
  Scoreboard board = Scoreboard::create();
  fill_server(board.server());
  (void)sum_slots(board);
  (void)sum_routes(board);
  (void)fleet_redis(board);
  struct stat facts{};
  REQUIRE(::fstat(board.fd(), &facts) == 0);
  CHECK(facts.st_blocks * 512 < 1024 * 1024);
}

// Its row counts connections that workers count again, and it is not one of them.
TEST_CASE("the distributor is no worker: only its pauses are added to the totals") {
  Scoreboard board = make_board();
  const auto before = sum_all(board, sum_slots(board));
  CHECK_FALSE(has_distributor(board));
  board.slot(kDistributorSlot).pid.store(9);
  board.slot(kDistributorSlot).started_ms.store(1);
  board.slot(kDistributorSlot)[Count::restarts].store(2);
  WorkerRow& row = board.worker(kDistributorSlot, 0);
  row.stamp_ms.store(monotonic_ms());
  row[Count::accepted].store(100);
  row[Count::connections].store(5);
  row[Count::accept_pauses].store(3);
  const auto sums = sum_slots(board);
  const auto after = sum_all(board, sums);
  CHECK(has_distributor(board));
  CHECK(sums.size() == 2);
  CHECK(after[Count::accepted] == before[Count::accepted]);
  CHECK(after[Count::connections] == before[Count::connections]);
  CHECK(after[Count::restarts] == before[Count::restarts]);
  CHECK(after[Count::accept_pauses] == before[Count::accept_pauses] + 3);
  CHECK(distributor_counters(board)[Count::restarts] == 2);
}

TEST_CASE("job workers count in the totals, and are no workers that serve") {
  Scoreboard board = make_board();
  const std::uint64_t before = sum_all(board, sum_slots(board))[Count::jobs_done];
  CHECK(sum_job_slots(board).empty());
  SlotRow& slot = board.slot(kFirstJobSlot);
  slot.pid = 77;
  slot.started_ms = 1;
  slot.state = SlotState::ready;
  WorkerRow& row = board.worker(kFirstJobSlot, 0);
  row.pid = 77;
  row.stamp_ms = monotonic_ms();
  add(row[Count::jobs_done], 5);
  add(row[Count::jobs_running], 2);
  const auto sums = sum_job_slots(board);
  REQUIRE(sums.size() == 1);
  CHECK(sums[0].slot == kFirstJobSlot);
  CHECK(sums[0].alive);
  CHECK(sum_slots(board).size() == 2);
  const SlotSum all = sum_all(board, sum_slots(board));
  CHECK(all[Count::jobs_done] == before + 5);
  CHECK(all[Count::jobs_running] == 2);
}
