#include <stdexcept>

#include "unit/worker/state/cache/cache_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

// A database that takes its time.
struct Saving {
  std::string saved = {};
  bool go = true;

  auto function() {
    return [this](const std::string& value) -> Task<void> {
      while (!go) co_await sleep_for(std::chrono::milliseconds(1));
      saved = value;
    };
  }
};

}  // namespace

TEST_CASE("write_through saves a value and puts it into the cache", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  first.get("k", "old");
  Saving database;
  first.run(first.cache().write_through("k", "new", database.function()));
  CHECK(database.saved == "new");
  CHECK(second.get("k", "not called") == "new");
  int called = 0;
  first.run(first.cache().write_through("k", "newer", [&called] { ++called; }));
  CHECK(called == 1);
  CHECK(second.get("k", "not called") == "newer");
  second.run(second.cache().write_through("k", "tagged", [] {}, {.tags = {"t"}}));
  first.run(first.cache().invalidate_tag("t"));
  CHECK(second.get("k", "computed") == "computed");
}

TEST_CASE("a write whose save fails throws, and leaves nothing in the cache", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  worker.get("k", "old");
  auto failing = [] { throw std::runtime_error("no space left"); };
  CHECK_THROWS_WITH(worker.run(worker.cache().write_through("k", "new", failing)), "no space left");
  CHECK(redis.command({"EXISTS", "app:c:{k}", "app:c:{k}:l"}) == "0");
  CHECK(worker.get("k", "computed") == "computed");
}

TEST_CASE("callers wait for a write that is running, and a fill that began before it is not kept", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  HeldFill held;
  auto filling = second.cache().get_or_fill("k", {}, held.function());
  start(second, filling);
  REQUIRE(second.wait([&] { return held.begun == 1; }));
  const std::string claim_of_the_fill = redis.command({"GET", "app:c:{k}:l"});
  Saving database{.go = false};
  auto writing = first.cache().write_through("k", "written", database.function());
  start(first, writing);
  REQUIRE(first.wait([&] { return redis.command({"GET", "app:c:{k}:l"}) != claim_of_the_fill; }));
  held.value = "read before the write";
  REQUIRE(wait_all({&second, &first}, [&] { return filling.done(); }));
  CHECK(filling.take() == "read before the write");

  HeldFill never;
  auto waiting = second.cache().get_or_fill("k", {}, never.function());
  start(second, waiting);
  REQUIRE(wait_all({&second, &first}, [&] { return second.count(Count::cache_waits) == 1; }));
  database.go = true;
  REQUIRE(wait_all({&second, &first}, [&] { return waiting.done() && writing.done(); }));
  CHECK(waiting.take() == "written");
  CHECK(never.begun == 0);
}

TEST_CASE("of two writes at the same time neither stays in the cache", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  Saving slow{.go = false};
  auto writing = first.cache().write_through("k", "one", slow.function());
  start(first, writing);
  REQUIRE(first.wait([&] { return redis.command({"EXISTS", "app:c:{k}:l"}) == "1"; }));
  const std::string lock = redis.command({"GET", "app:c:{k}:l"});
  Saving also_slow{.go = false};
  auto overlapping = second.cache().write_through("k", "two", also_slow.function());
  start(second, overlapping);
  REQUIRE(wait_all({&second, &first}, [&] { return redis.command({"GET", "app:c:{k}:l"}) != lock; }));
  slow.go = true;
  REQUIRE(wait_all({&second, &first}, [&] { return writing.done(); }));
  also_slow.go = true;
  REQUIRE(wait_all({&second, &first}, [&] { return overlapping.done(); }));
  CHECK(redis.command({"EXISTS", "app:c:{k}", "app:c:{k}:l"}) == "0");
}

TEST_CASE("nothing is saved while the old entry cannot be removed", "[cache]") {
  RedisProcess redis;
  CacheWorker worker(redis.url());
  redis.stop();
  REQUIRE(worker.wait([&] { return !worker.state->redis_up(); }));
  Saving database;
  CHECK_THROWS_AS(worker.run(worker.cache().write_through("k", "new", database.function())), RedisUnavailable);
  CHECK(database.saved.empty());
}
