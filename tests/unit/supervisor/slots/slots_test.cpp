#include "supervisor/slots/slots.h"

#include "support/catch.h"

using namespace std::chrono_literals;
using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

// Starts whatever is due, with pids from `pid` on, and makes it ready.
int fill(Slots& slots, int pid, std::uint64_t now, std::uint32_t generation = 1) {
  while (const auto place = slots.next_start(now)) {
    slots.started(*place, pid, generation, now, now + 60'000);
    slots.ready(pid++, now);
  }
  return pid;
}

}  // namespace

TEST_CASE("every wanted slot is due for a start, once", "[supervisor]") {
  Slots slots;
  CHECK(slots.set_target(3, 1000).empty());
  CHECK(fill(slots, 100, 1000) == 103);
  CHECK_FALSE(slots.next_start(1000));
  CHECK(slots.ready_slots() == 3);
  CHECK(slots.find(102)->slot == 2);
  CHECK(slots.state(0, 1000) == SlotState::ready);
  CHECK(slots.state(3, 1000) == SlotState::stopped);
}

TEST_CASE("a slot whose worker exited is due at once, and later when it exits again", "[supervisor]") {
  Slots slots;
  slots.set_target(2, 1000);
  fill(slots, 100, 1000);
  const auto first = slots.exited(100, 2000, 0.0);
  REQUIRE(first);
  CHECK(first->counts);
  CHECK(first->replaced);
  CHECK(first->delay == 0ms);
  fill(slots, 201, 2000);
  CHECK(slots.exited(201, 2500, 0.0)->delay == 100ms);
  CHECK(slots.state(0, 2500) == SlotState::backoff);
  CHECK_FALSE(slots.next_start(2599));
  CHECK(slots.next_due() == 2600);
  CHECK(slots.next_start(2600));
}

// A client that killed workers faster than they were restarted left every slot waiting for up to 30 s.
TEST_CASE("the last slot to lose its worker does not wait", "[supervisor]") {
  Slots slots;
  slots.set_target(2, 1000);
  std::uint64_t now = 1000;
  int pid = 100;
  for (int round = 0; round < 8; ++round, now += 100'000) {
    pid = fill(slots, pid, now);
    CHECK(slots.exited(slots.current(0)->pid, now + 500, 0.0)->delay >= (round == 0 ? 0ms : 100ms));
    CHECK(slots.exited(slots.current(1)->pid, now + 600, 0.0)->delay == 0ms);
  }
}

TEST_CASE("the last slot waits a little for a worker that fails early, and a second for one that is never ready",
          "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  std::uint64_t now = 1000;
  int pid = 100;
  for (int round = 0; round < 10; ++round, now += 10'000) {
    pid = fill(slots, pid, now);
    CHECK(slots.exited(pid - 1, now + 50, 0.0)->delay <= 100ms);
  }
  for (int round = 0; round < 10; ++round, now += 10'000) {
    slots.started(*slots.next_start(now), ++pid, 1, now, 0);
    CHECK(slots.exited(pid, now, 0.0)->delay <= 1'000ms);
  }
}

TEST_CASE("an exit of an unknown process changes nothing", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  fill(slots, 100, 1000);
  CHECK_FALSE(slots.exited(4711, 2000, 0.0));
  CHECK(slots.ready_slots() == 1);
}

TEST_CASE("a successor runs beside the worker that it replaces, in another row", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  fill(slots, 100, 1000);
  const auto row = slots.free_row(0);
  REQUIRE(row);
  CHECK(*row != slots.find(100)->row);
  CHECK(slots.can_surge(0));
  slots.started({0, *row}, 101, 2, 2000, 0);
  CHECK_FALSE(slots.can_surge(0));
  CHECK(slots.current(0)->pid == 100);  // it answers for the slot until the successor is ready
  slots.ready(101, 2100);
  slots.draining(100, 2100, 9000);
  CHECK(slots.current(0)->pid == 101);
  CHECK(slots.other(0)->pid == 100);
  CHECK(slots.next_due() == 9000);
  const auto exit = slots.exited(100, 2200, 0.0);
  CHECK_FALSE(exit->counts);
  CHECK_FALSE(exit->replaced);
  CHECK(slots.can_surge(0));
}

TEST_CASE("a successor that fails costs the slot no wait while the old worker serves", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  fill(slots, 100, 1000);
  slots.started({0, *slots.free_row(0)}, 101, 2, 2000, 0);
  const auto exit = slots.exited(101, 2100, 0.0);
  CHECK(exit->counts);
  CHECK_FALSE(exit->replaced);
  CHECK(slots.ready_worker(0)->pid == 100);
  CHECK(slots.exited(100, 2200, 0.0)->delay == 0ms);  // its own first exit
}

TEST_CASE("a draining worker that the watchdog kills is not replaced", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  fill(slots, 100, 1000);
  slots.started({0, *slots.free_row(0)}, 101, 2, 2000, 0);
  slots.ready(101, 2100);
  slots.draining(100, 2100, 9000);
  slots.dying(100, 2500, 4500);
  const auto exit = slots.exited(100, 2600, 0.0);
  CHECK_FALSE(exit->counts);
  CHECK_FALSE(exit->replaced);
  CHECK(exit->worker.leaving);
  CHECK(slots.ready_worker(0)->pid == 101);
}

TEST_CASE("a bad successor is replaced immediately while the old worker still drains", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  fill(slots, 100, 1000);
  slots.started({0, *slots.free_row(0)}, 101, 2, 2000, 0);
  slots.draining(100, 2100, 9000);
  slots.draining(101, 2100, 9000);
  CHECK(slots.next_start(2100));
}

TEST_CASE("a slot whose rows are all taken by draining workers waits for a free one", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  fill(slots, 100, 1000);
  for (int pid = 101; pid < 103; ++pid) slots.started({0, *slots.free_row(0)}, pid, 2, 2000, 0);
  for (int pid = 100; pid < 103; ++pid) slots.draining(pid, 2100, 9000);
  CHECK_FALSE(slots.next_start(3000));
  slots.exited(100, 3000, 0.0);
  CHECK(slots.next_start(3000));
}

TEST_CASE("fewer workers: the highest slots are scaled away, and their exits are not replaced", "[supervisor]") {
  Slots slots;
  slots.set_target(3, 1000);
  fill(slots, 100, 1000);
  const auto surplus = slots.set_target(1, 2000);
  REQUIRE(surplus.size() == 2);
  for (const WorkerEntry& worker : surplus) {
    CHECK(worker.slot >= 1);
    slots.draining(worker.pid, 2000, 9000);
    CHECK_FALSE(slots.exited(worker.pid, 2100, 0.0)->replaced);
  }
  CHECK_FALSE(slots.next_start(5000));
  CHECK(slots.set_target(2, 6000).empty());
  CHECK(slots.next_start(6000)->slot == 1);
}

TEST_CASE("the number of workers leaves the last slot to the admin process", "[supervisor]") {
  Slots slots;
  slots.set_target(100'000, 1000);
  CHECK(slots.target() == kMaxWorkers);
  CHECK_FALSE(slots.wanted(kAdminSlot));
  slots.set_admin(true);
  slots.set_target(1, 1000);
  CHECK(fill(slots, 100, 1000) == 102);
  CHECK(slots.current(kAdminSlot) != nullptr);
  CHECK(slots.ready_slots() == 1);
}

TEST_CASE("a slot counts as unserved from the exit of its worker until the next is ready", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  CHECK(slots.unserved_since(0) == 1000);
  fill(slots, 100, 1100);
  CHECK(slots.unserved_since(0) == 0);
  slots.exited(100, 2000, 0.0);
  CHECK(slots.unserved_since(0) == 2000);
  slots.started(*slots.next_start(2000), 101, 1, 2000, 0);
  CHECK(slots.unserved_since(0) == 2000);
  slots.ready(101, 2500);
  CHECK(slots.unserved_since(0) == 0);
}

TEST_CASE("a worker that boots has a deadline until it is ready", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  slots.started(*slots.next_start(1000), 100, 1, 1000, 61'000);
  CHECK(slots.next_due() == 61'000);
  slots.ready(100, 2000);
  CHECK(slots.next_due() == 0);
}

TEST_CASE("a worker that the watchdog killed is replaced when it has gone", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  fill(slots, 100, 1000);
  slots.dying(100, 5000, 7000);
  CHECK(slots.ready_worker(0) == nullptr);
  CHECK_FALSE(slots.next_start(6000));
  const auto exit = slots.exited(100, 6000, 0.0);
  CHECK(exit->counts);
  CHECK(exit->replaced);
  CHECK(slots.next_start(6000));
}

TEST_CASE("a process that cannot be created is tried again after a delay", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  CHECK(slots.start_failed(0, 1000, 0.0) == 100ms);
  CHECK_FALSE(slots.next_start(1099));
  CHECK(slots.next_start(1100));
  CHECK(slots.start_failed(0, 1100, 0.0) == 200ms);
}

TEST_CASE("a slot with a new launch starts without the delays of the old one", "[supervisor]") {
  Slots slots;
  slots.set_target(1, 1000);
  for (int pid = 100; pid < 106; ++pid) {
    fill(slots, pid, 100'000);
    slots.exited(pid, 1000, 0.0);
  }
  fill(slots, 106, 100'000);
  slots.forget_exits(0);
  CHECK(slots.exited(106, 100'001, 0.0)->delay == 0ms);
}

TEST_CASE("a held slot starts its next worker when the old one has ended", "[supervisor]") {
  Slots slots;
  slots.set_target(2, 1000);
  fill(slots, 100, 1000);
  slots.hold(0);
  slots.draining(100, 2000, 30'000);
  CHECK_FALSE(slots.next_start(2000));
  CHECK(slots.next_due() == 30'000);  // nothing but the kill
  REQUIRE(slots.exited(100, 3000, 0.0));
  CHECK(slots.next_start(3000)->slot == 0);
  fill(slots, 200, 3000);
  slots.draining(200, 4000, 30'000);  // the hold was for once
  CHECK(slots.next_start(4000)->slot == 0);
}

// Nobody else accepts meanwhile.
TEST_CASE("the distributor is restarted at once however often it ends, unless it ends as soon as it is ready",
          "[slots]") {
  Slots slots;
  slots.set_distributor(true);
  std::uint64_t now = 1'000;
  const auto lives_for = [&](std::uint64_t ms) {
    const auto place = slots.next_start(now);
    REQUIRE(place.has_value());
    CHECK(place->slot == kDistributorSlot);
    slots.started(*place, static_cast<int>(now), 1, now, 0);
    slots.ready(static_cast<int>(now), now);
    const auto exit = slots.exited(static_cast<int>(now), now + ms, 0);
    REQUIRE(exit.has_value());
    now += ms + static_cast<std::uint64_t>(exit->delay.count());
    return exit->delay;
  };
  for (int i = 0; i < 10; ++i) CHECK(lives_for(200).count() == 0);
  CHECK(lives_for(50) == RestartPolicy::kFirstDelay);
}

TEST_CASE("job workers have slots of their own, and are restarted like workers", "[slots]") {
  Slots slots;
  slots.set_job_workers(2);
  CHECK(slots.wanted(kFirstJobSlot + 1));
  CHECK_FALSE(slots.wanted(kFirstJobSlot + 2));
  const auto first = slots.next_start(1'000);
  REQUIRE(first.has_value());
  CHECK(first->slot == kFirstJobSlot);
  slots.started(*first, 100, 1, 1'000, 0);
  CHECK(slots.next_start(1'000)->slot == kFirstJobSlot + 1);
  slots.ready(100, 1'000);
  CHECK(slots.ready_slots() == 0);  // of workers that serve
  REQUIRE(slots.exited(100, 2'000, 0));
  const auto again = slots.next_start(2'000);
  REQUIRE(again.has_value());
  slots.started(*again, 101, 1, 2'000, 0);
  slots.ready(101, 2'000);
  const auto exit = slots.exited(101, 2'001, 0);
  REQUIRE(exit.has_value());
  CHECK(exit->delay.count() > 0);
  slots.set_job_workers(0);
  CHECK_FALSE(slots.wanted(kFirstJobSlot));
  CHECK_FALSE(slots.next_start(100'000));
}
