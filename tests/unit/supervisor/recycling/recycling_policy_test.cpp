#include "supervisor/recycling/recycling_policy.h"

#include "common/ipc/scoreboard.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

// Four workers with pids 100 to 103, all new.
struct Fleet {
  RecyclingPolicy policy;
  std::vector<RecycleFacts> workers;
  std::optional<std::uint64_t> headroom;
  std::uint64_t now = 1'000;

  explicit Fleet(RecycleLimits limits, std::uint32_t slots = 4) {
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      workers.push_back({slot, 100 + static_cast<int>(slot), 0, 0, 20 * kMiB, limits});
    }
    CHECK_FALSE(next().step);
  }
  RecyclingPolicy::Advice next() {
    return policy.next(workers, static_cast<std::uint32_t>(workers.size()), headroom, now += 1'000);
  }
  // The step is carried out to its end: another process stands in the slot.
  void carry_out(const RecyclingPolicy::Step& step) {
    policy.started(step.pid + 1'000);
    policy.successor_is_ready();
    policy.gone(step.pid);
    workers[step.slot].pid = step.pid + 1'000;
    workers[step.slot].age_ms = 0;
    workers[step.slot].memory = 20 * kMiB;
  }
};

}  // namespace

TEST_CASE("without limits no worker is replaced", "[recycling]") {
  Fleet fleet({});
  for (auto& worker : fleet.workers) worker.requests = worker.age_ms = worker.memory = 1ULL << 60;
  CHECK_FALSE(fleet.next().step);
}

TEST_CASE("a worker whose guardian has ended is replaced first, without any limit", "[recycling]") {
  Fleet fleet({.memory = 50 * kMiB});
  fleet.workers[1].memory = 60 * kMiB;
  fleet.workers[2].unguarded = true;
  const auto advice = fleet.next();
  REQUIRE(advice.step);
  CHECK(advice.step->slot == 2);
  CHECK(advice.step->reason == "its guardian has ended");
}

TEST_CASE("workers under the same load reach their limit one after the other", "[recycling]") {
  Fleet fleet({.requests = 800});
  std::vector<std::pair<std::uint32_t, std::uint64_t>> replaced;  // slot, at how many requests
  for (std::uint64_t requests = 700; requests <= 900; ++requests) {
    for (auto& worker : fleet.workers) worker.requests = requests;
    if (const auto advice = fleet.next(); advice.step) {
      replaced.emplace_back(advice.step->slot, requests);
      fleet.carry_out(*advice.step);
      fleet.workers[advice.step->slot].limits = {};
    }
  }
  CHECK(replaced == std::vector<std::pair<std::uint32_t, std::uint64_t>>{{0, 800}, {1, 825}, {2, 850}, {3, 875}});
}

TEST_CASE("the requests of a slot's earlier workers do not count", "[recycling]") {
  Fleet fleet({.requests = 100}, 1);
  fleet.workers[0].requests = 100;
  const auto first = fleet.next();
  REQUIRE(first.step);
  CHECK(first.step->reason == "100 requests, recycle_requests is 100");
  fleet.carry_out(*first.step);
  CHECK_FALSE(fleet.next().step);  // its row stands at 100
  fleet.workers[0].requests = 199;
  CHECK_FALSE(fleet.next().step);
  fleet.workers[0].requests = 200;
  CHECK(fleet.next().step);
}

TEST_CASE("age is a limit of its own", "[recycling]") {
  Fleet fleet({.age_ms = 3'600'000}, 2);
  fleet.workers[0].age_ms = 3'599'999;
  CHECK_FALSE(fleet.next().step);
  fleet.workers[0].age_ms = 3'600'500;
  const auto advice = fleet.next();
  REQUIRE(advice.step);
  CHECK(advice.step->slot == 0);
  CHECK(advice.step->reason == "3600.5 s old, recycle_age is 3600 s");
}

TEST_CASE("memory is a limit of its own, the same for every slot", "[recycling]") {
  Fleet fleet({.memory = 512 * kMiB});
  fleet.workers[3].memory = 512 * kMiB + 300 * 1024;
  const auto advice = fleet.next();
  REQUIRE(advice.step);
  CHECK(advice.step->slot == 3);
  CHECK(advice.step->way == RecyclingPolicy::Way::surge);
  CHECK(advice.step->reason == "512.3 MiB of memory, recycle_memory is 512.0 MiB");
}

TEST_CASE("one worker at a time is replaced, first the one furthest above its limit", "[recycling]") {
  Fleet fleet({.memory = 100 * kMiB});
  fleet.workers[1].memory = 110 * kMiB;
  fleet.workers[2].memory = 300 * kMiB;
  const auto first = fleet.next();
  REQUIRE(first.step);
  CHECK(first.step->slot == 2);
  fleet.policy.started(1102);
  for (int i = 0; i < 100; ++i) CHECK_FALSE(fleet.next().step);
  fleet.policy.successor_is_ready();
  CHECK_FALSE(fleet.next().step);  // the old one still drains
  fleet.policy.gone(999);          // another one's exit
  CHECK_FALSE(fleet.next().step);
  fleet.carry_out(*first.step);
  const auto second = fleet.next();
  REQUIRE(second.step);
  CHECK(second.step->slot == 1);
}

TEST_CASE("a worker that dies by itself gives the token back", "[recycling]") {
  Fleet fleet({.age_ms = 1'000});
  fleet.workers[0].age_ms = 2'000;
  REQUIRE(fleet.next().step);
  fleet.policy.started(1100);
  fleet.policy.gone(100);
  CHECK_FALSE(fleet.policy.busy());
  fleet.workers[0] = {0, 1100, 0, 0, 20 * kMiB, {.age_ms = 1'000}};
  CHECK_FALSE(fleet.next().step);
}

TEST_CASE("after a successor that did not become ready the next attempt waits", "[recycling]") {
  Fleet fleet({.age_ms = 1'000}, 1);
  fleet.workers[0].age_ms = 2'000;
  REQUIRE(fleet.next().step);
  fleet.policy.started(1100);
  fleet.policy.failed(fleet.now);
  const std::uint64_t failed_at = fleet.now;
  while (fleet.now + 1'000 < failed_at + RecyclingPolicy::kRetryMs) CHECK_FALSE(fleet.next().step);
  CHECK(fleet.next().step);
}

TEST_CASE("without memory for two, recycling waits, logs that once, and then ends the old worker first",
          "[recycling]") {
  Fleet fleet({.memory = 100 * kMiB});
  fleet.headroom = 60 * kMiB;
  fleet.workers[1].memory = 120 * kMiB;
  const auto first = fleet.next();
  CHECK_FALSE(first.step);
  CHECK(first.warning.find("worker 1 (pid 101)") != std::string::npos);
  CHECK(first.warning.find("120.0 MiB") != std::string::npos);
  const std::uint64_t waiting_since = fleet.now;
  while (fleet.now + 1'000 < waiting_since + RecyclingPolicy::kPatienceMs) {
    const auto advice = fleet.next();
    CHECK_FALSE(advice.step);
    CHECK(advice.warning.empty());
  }
  const auto last = fleet.next();
  REQUIRE(last.step);
  CHECK(last.step->way == RecyclingPolicy::Way::drain_first);
}

TEST_CASE("memory that becomes free ends the wait with a surge", "[recycling]") {
  Fleet fleet({.memory = 100 * kMiB});
  fleet.headroom = 60 * kMiB;
  fleet.workers[1].memory = 120 * kMiB;
  CHECK_FALSE(fleet.next().step);
  fleet.headroom = 120 * kMiB;
  const auto advice = fleet.next();
  REQUIRE(advice.step);
  CHECK(advice.step->way == RecyclingPolicy::Way::surge);
}

TEST_CASE("the only worker never ends before its successor is ready", "[recycling]") {
  Fleet fleet({.memory = 100 * kMiB}, 1);
  fleet.headroom = 0;
  fleet.workers[0].memory = 120 * kMiB;
  for (int i = 0; i < 200; ++i) CHECK_FALSE(fleet.next().step);
}

TEST_CASE("job workers have the same limits, counted in jobs, and never keep the last worker that serves from serving",
          "[recycling]") {
  Fleet fleet({.requests = 100}, 2);
  fleet.workers[1].slot = kFirstJobSlot + 1;
  CHECK_FALSE(fleet.next().step);
  fleet.workers[1].requests = 100;
  CHECK_FALSE(fleet.next().step);  // staggered
  fleet.workers[1].requests = 113;
  const auto advice = fleet.next();
  REQUIRE(advice.step);
  CHECK(advice.step->slot == kFirstJobSlot + 1);
  CHECK(advice.step->reason == "113 jobs, recycle_requests is 100");
  fleet.policy.gone(101);
  fleet.workers[1] = {kFirstJobSlot + 1, 102, 113, 0, 20 * kMiB, {.memory = 100 * kMiB}};

  fleet.workers[0].limits = {.memory = 100 * kMiB};
  fleet.headroom = 0;
  fleet.workers[0].memory = 120 * kMiB;
  for (int i = 0; i < 200; ++i) CHECK_FALSE(fleet.next().step);
  fleet.workers[0].memory = 20 * kMiB;
  fleet.workers[1].memory = 120 * kMiB;
  std::optional<RecyclingPolicy::Step> step;
  for (int i = 0; i < 200 && !step; ++i) step = fleet.next().step;
  REQUIRE(step);
  CHECK(step->pid == 102);
  CHECK(step->way == RecyclingPolicy::Way::drain_first);
}

TEST_CASE("what a worker has used is counted from when it became ready", "[recycling]") {
  Fleet fleet({});
  fleet.policy.began(200, 1'000, 20 * kMiB);
  fleet.workers[0] = {0, 200, 1'000, 0, 400 * kMiB, {.memory = 100 * kMiB}};  // it has grown before the first look
  CHECK(fleet.next().step);
  fleet.policy.gone(200);
  fleet.policy.began(200, 1'000, 20 * kMiB);
  fleet.workers[0] = {0, 200, 1'099, 0, 20 * kMiB, {.requests = 100}};
  CHECK_FALSE(fleet.next().step);
  fleet.workers[0].requests = 1'100;
  CHECK(fleet.next().step);
}

TEST_CASE("a limit that a new worker exceeds from its start causes no replacement, and is logged once", "[recycling]") {
  Fleet fleet({});
  for (auto& worker : fleet.workers) worker.limits.memory = 10 * kMiB;
  const auto advice = fleet.next();
  CHECK_FALSE(advice.step);
  CHECK(advice.warning.find("recycle_memory is 10.0 MiB") != std::string::npos);
  CHECK(fleet.next().warning.empty());
  fleet.workers[0].memory = 400 * kMiB;
  CHECK_FALSE(fleet.next().step);
}

namespace {

// A group of 250 MiB: the reserve is 50 MiB, the last one 12.5 MiB.
MemoryRoom room_of(std::uint64_t mebibytes) { return {250 * kMiB, mebibytes * kMiB, "/shop"}; }

}  // namespace

TEST_CASE("when the cgroup's memory is nearly used up, the largest worker is replaced", "[recycling]") {
  Fleet fleet({});
  fleet.workers[1].memory = 60 * kMiB;
  fleet.workers[2].memory = 90 * kMiB;
  CHECK_FALSE(fleet.policy.relieve(fleet.workers, room_of(51), fleet.now).step);
  const auto advice = fleet.policy.relieve(fleet.workers, room_of(49), fleet.now);
  REQUIRE(advice.step);
  CHECK(advice.step->slot == 2);
  CHECK(advice.step->way == RecyclingPolicy::Way::surge);
  CHECK(advice.step->reason ==
        "90.0 MiB of memory, the most of 4 workers, and the cgroup /shop has 49.0 MiB left of 250.0 MiB");
  CHECK_FALSE(fleet.policy.relieve(fleet.workers, room_of(49), fleet.now).step);  // one at a time
  fleet.carry_out(*advice.step);
  const auto next = fleet.policy.relieve(fleet.workers, room_of(49), fleet.now);
  REQUIRE(next.step);
  CHECK(next.step->slot == 1);
}

TEST_CASE("without room for a successor the largest worker ends first, unless it is the only one", "[recycling]") {
  Fleet fleet({});
  fleet.workers[2].memory = 90 * kMiB;
  const auto advice = fleet.policy.relieve(fleet.workers, room_of(32), fleet.now);
  REQUIRE(advice.step);
  CHECK(advice.step->way == RecyclingPolicy::Way::drain_first);
  Fleet alone({}, 1);
  alone.workers[0].memory = 90 * kMiB;
  const auto only = alone.policy.relieve(alone.workers, room_of(32), alone.now);
  REQUIRE(only.step);
  CHECK(only.step->way == RecyclingPolicy::Way::surge);
}

TEST_CASE("workers that have not grown are not replaced for the cgroup's memory, which is logged once", "[recycling]") {
  Fleet fleet({});
  for (auto& worker : fleet.workers) worker.memory = 28 * kMiB;  // from 20 MiB
  const auto advice = fleet.policy.relieve(fleet.workers, room_of(10), fleet.now);
  CHECK_FALSE(advice.step);
  CHECK(advice.warning.find("no worker has grown") != std::string::npos);
  CHECK(fleet.policy.relieve(fleet.workers, room_of(10), fleet.now).warning.empty());
  CHECK(fleet.policy.sacrifice(fleet.workers, room_of(10)) == 0);
  static_cast<void>(fleet.policy.relieve(fleet.workers, room_of(60), fleet.now));
  CHECK_FALSE(fleet.policy.relieve(fleet.workers, room_of(10), fleet.now).warning.empty());
}

TEST_CASE("a worker that outgrows its replacement is killed before the kernel kills, one at a time", "[recycling]") {
  Fleet fleet({});
  fleet.workers[1].memory = 60 * kMiB;
  fleet.workers[2].memory = 90 * kMiB;
  REQUIRE(fleet.policy.relieve(fleet.workers, room_of(40), fleet.now).step);
  CHECK(fleet.policy.sacrifice(fleet.workers, room_of(13)) == 0);
  CHECK(fleet.policy.sacrifice(fleet.workers, room_of(12)) == 102);
  CHECK(fleet.policy.sacrifice(fleet.workers, room_of(2)) == 0);
  fleet.policy.gone(102);
  fleet.workers[2].memory = 20 * kMiB;
  CHECK(fleet.policy.sacrifice(fleet.workers, room_of(2)) == 101);
}
