#include "supervisor/crash/exit_facts.h"

#include <cstring>

#include "common/ipc/scoreboard.h"
#include "supervisor/load/sampler.h"
#include "supervisor/system/child_process.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

TEST_CASE("the request that a worker executed is read from its row", "[supervisor]") {
  auto board = Scoreboard::create();
  WorkerRow& row = board.worker(0, 0);
  row.pid.store(100);
  CHECK(running_request(row, 100).empty());
  std::strcpy(row.running.line, "POST /crash");
  row.running.id = {0x7f3a, 0x12};
  row.running.active.store(1);
  CHECK(running_request(row, 100) == "POST /crash id=0000000000007f3a00000012");
  CHECK(running_request(row, 101).empty());  // another process had the row
}

TEST_CASE("texts that a dying worker left without an end are read no further than their arrays", "[supervisor]") {
  auto board = Scoreboard::create();
  WorkerRow& row = board.worker(0, 0);
  row.pid.store(100);
  row.running.active.store(1);
  std::memset(row.running.line, 'p', sizeof row.running.line);
  CHECK(running_request(row, 100).size() == sizeof row.running.line + 4 + 24);
}

TEST_CASE("a dead worker's gauges go to zero and its counters stay", "[supervisor]") {
  auto board = Scoreboard::create();
  WorkerRow& row = board.worker(0, 0);
  row.pid.store(100);
  row[Count::connections].store(5);
  row[Count::in_flight].store(2);
  row[Count::requests].store(77);
  release_row(row, 101);
  CHECK(row[Count::connections].load() == 5);
  release_row(row, 100);
  CHECK(row[Count::connections].load() == 0);
  CHECK(row[Count::in_flight].load() == 0);
  CHECK(row[Count::requests].load() == 77);
  CHECK(row.pid.load() == 0);
}

TEST_CASE("log lines that a dead worker has not written are counted as dropped, once", "[supervisor]") {
  auto board = Scoreboard::create();
  WorkerRow& row = board.worker(0, 0);
  row.pid.store(100);
  row[Count::log_lines_dropped].store(7);
  row.unwritten_log_lines.store(20);
  row.unwritten_access_lines.store(300);
  release_row(row, 100);
  CHECK(row[Count::log_lines_dropped].load() == 327);
  take_row(row);  // the next worker
  CHECK(row[Count::log_lines_dropped].load() == 327);
}

TEST_CASE("a slot that is no worker's has a name in log lines", "[supervisor]") {
  CHECK(slot_field(3).value == "3");
  CHECK_FALSE(slot_field(3).is_text);
  CHECK(slot_field(kDistributorSlot).value == "distributor");
  CHECK(slot_field(kDistributorSlot).is_text);
  CHECK(slot_field(kAdminSlot).value == "admin");
  CHECK(slot_field(kFirstJobSlot + 1).value == "jobs1");
}

TEST_CASE("an exit is named by its status or its signal", "[supervisor]") {
  CHECK(describe(ChildExit{1, 3, 0}) == "exit status 3");
  CHECK(describe(ChildExit{1, 0, 11}) == "signal 11 (SIGSEGV)");
  CHECK(describe(ChildExit{1, 0, 9}) == "signal 9 (SIGKILL)");
}

TEST_CASE("CPU time is read from /proc whatever the program is called", "[supervisor]") {
  CHECK(cpu_ticks_of("1 (prong horn) 9) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0") == 200);
  CHECK(cpu_ticks_of("") == 0);
  CHECK(cpu_ticks_of("1 (x) S 1 1") == 0);
}
