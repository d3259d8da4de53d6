#include "supervisor/workers/guardians.h"

#include <signal.h>
#include <unistd.h>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

// The guardians of one slot, and of one worker at a time.
struct Slot {
  uv_loop_t loop{};
  Scoreboard board = Scoreboard::create();
  std::optional<Children> children;
  std::optional<Guardians> guardians;
  WorkerEntry worker{.pid = 1'000'000, .slot = 0, .row = 1, .state = WorkerState::ready};
  GuardianRow& row = board.worker(0, 1).guardian;
  pid_t guardian = 0;

  Slot() {
    uv_loop_init(&loop);
    children.emplace(&loop, [] {});
    guardians.emplace(*children, board);
  }
  ~Slot() {
    end_guardian();
    guardians.reset();
    children.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  }

  void start_guardian() {
    guardian = ::fork();
    if (guardian == 0) {
      for (;;) ::pause();
    }
    guardians->started(worker, guardian);
  }
  void kill_worker(std::uint64_t in_flight = 0) {
    guardians->worker_ended(worker, {.pid = worker.pid, .signal = SIGKILL}, in_flight, nullptr);
  }
  void end_guardian() {
    if (guardian == 0) return;
    ::kill(std::exchange(guardian, 0), SIGKILL);
    while (guardians->count() != 0) children->reap();
  }
  [[nodiscard]] std::uint64_t handed_over() { return board.slot(0)[Count::handed_over_death].load(); }
  [[nodiscard]] std::string last_exit() { return board.slot(0).last_exit_connections.get(); }
};

}  // namespace

TEST_CASE("what a guardian has counted is reported when it ends, once", "[supervisor][survival]") {
  Slot slot;
  slot.start_guardian();
  slot.row.handed_over = 3;
  slot.row.run_again = 1;
  slot.kill_worker(1);
  slot.end_guardian();
  CHECK(slot.last_exit() == "3 connections handed over, 1 request run again");
  CHECK(slot.handed_over() == 3);
  CHECK(slot.board.slot(0)[Count::lost_worker_died].load() == 0);
  ++slot.worker.pid;
  slot.start_guardian();
  slot.row.handed_over += 2;
  slot.kill_worker();
  slot.end_guardian();
  CHECK(slot.last_exit() == "2 connections handed over");
  CHECK(slot.handed_over() == 5);
}

// A worker that died just before the supervisor's program was replaced left no line and no counts.
TEST_CASE("what a guardian has counted before the supervisor knew it is reported as well", "[supervisor][survival]") {
  Slot slot;
  slot.row.handed_over = 3;
  slot.start_guardian();
  slot.kill_worker();
  slot.end_guardian();
  CHECK(slot.last_exit() == "3 connections handed over");
  CHECK(slot.handed_over() == 3);
}

TEST_CASE("a guardian is at work from the end of its worker to its own", "[supervisor][survival]") {
  Slot slot;
  slot.start_guardian();
  CHECK_FALSE(slot.guardians->at_work());
  slot.kill_worker();
  CHECK(slot.guardians->at_work());
  slot.end_guardian();
  CHECK_FALSE(slot.guardians->at_work());
}
