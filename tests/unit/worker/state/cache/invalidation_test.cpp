// Invalidation by key and by tag, and values that are used past their ttl.
#include <stdexcept>

#include "unit/worker/state/cache/cache_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

constexpr const char* kEntry = "app:c:{k}";

// Makes the entry as old as if its freshness had ended.
void make_stale(const RedisProcess& redis, std::chrono::milliseconds stale) {
  CHECK(redis.command({"PEXPIRE", kEntry, std::to_string(stale.count() - 1)}) == "1");
}

}  // namespace

TEST_CASE("an invalidated key is computed anew, in every worker", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  CHECK(first.get("k", "one") == "one");
  second.run(second.cache().invalidate("k"));
  CHECK(first.get("k", "two") == "two");
  CHECK(second.get("k", "three") == "two");
  CHECK_THROWS_AS(first.run(first.cache().invalidate("")), std::invalid_argument);
}

TEST_CASE("a tag invalidates all entries that carry it, and no others", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  const std::string odd("\0 {}*\n", 6);
  first.get("a", "a1", {.tags = {"red", odd}});
  first.get("b", "b1", {.tags = {"red"}});
  first.get("c", "c1", {.tags = {odd}});
  first.get("d", "d1");
  second.run(second.cache().invalidate_tag("red"));
  CHECK(first.get("a", "a2", {.tags = {"red", odd}}) == "a2");
  CHECK(first.get("b", "b2") == "b2");  // a caller need not name the tags of the entry
  CHECK(first.get("c", "c2", {.tags = {odd}}) == "c1");
  CHECK(first.get("d", "d2") == "d1");
  second.run(second.cache().invalidate_tag(odd));
  CHECK(second.get("a", "a3") == "a3");
  CHECK(second.get("c", "c3") == "c3");
}

TEST_CASE("a tag that Redis has evicted invalidates its entries", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  worker.get("k", "one", {.tags = {"t"}});
  CHECK(redis.command({"DEL", "app:c:t:t"}) == "1");
  CHECK(worker.get("k", "two", {.tags = {"t"}}) == "two");
  CHECK(worker.get("k", "three", {.tags = {"t"}}) == "two");
}

TEST_CASE("a tag lives as long as the entries that carry it", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  worker.get("a", "v", {.ttl = 10s, .tags = {"t"}});
  worker.get("b", "v", {.ttl = 1000s, .stale = 500s, .tags = {"t"}});
  worker.get("c", "v", {.ttl = 10s, .tags = {"t"}});
  CHECK(std::stol(redis.command({"PTTL", "app:c:t:t"})) > 1'400'000);
}

// The version of a tag is read before the fill and lived only as long as the entry would, so of a fill that took longer
// nothing was ever found in the cache.
TEST_CASE("a value with a tag is kept although its fill took longer than it may live", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  const CacheOptions options{.ttl = 300ms, .negative = 0ms, .tags = {"t"}};
  HeldFill fill;
  Task<std::string> filling = worker.cache().get_or_fill("k", options, fill.function());
  start(worker, filling);
  CHECK(worker.wait([&redis] { return redis.command({"EXISTS", "app:c:t:t"}) == "1"; }));
  worker.turn(400ms);
  fill.value = "slow";
  CHECK(worker.finish(filling) == "slow");
  CHECK(worker.get("k", "fresh", {.ttl = 1h, .tags = {"t"}}) == "slow");
}

TEST_CASE("the version of a tag outlives a fill, however long that takes", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  HeldFill fill;
  Task<std::string> filling = worker.cache().get_or_fill("k", {.ttl = 10s, .tags = {"t"}}, fill.function());
  start(worker, filling);
  CHECK(worker.wait([&redis] { return redis.command({"PEXPIRE", "app:c:t:t", "20000"}) == "1"; }));  // as after 110 s
  CHECK(worker.wait([&redis] { return std::stol(redis.command({"PTTL", "app:c:t:t"})) > 100'000; }));
  fill.value = "slow";
  CHECK(worker.finish(filling) == "slow");
  CHECK(worker.get("k", "fresh", {.ttl = 10s, .tags = {"t"}}) == "slow");
}

TEST_CASE("a key that is invalidated while its fill runs is computed anew", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  HeldFill held;
  auto filling = first.cache().get_or_fill("k", {}, held.function());
  start(first, filling);
  REQUIRE(first.wait([&] { return held.begun == 1; }));
  auto fresh = [] { return std::string("new"); };
  auto following = first.cache().get_or_fill("k", {}, fresh);
  start(first, following);
  REQUIRE(first.wait([&] { return first.count(Count::cache_waits) == 1; }));

  second.run(second.cache().invalidate("k"));
  held.value = "old";
  CHECK(first.finish(filling) == "old");    // its caller asked before
  CHECK(first.finish(following) == "new");  // who waited for it does not get it
  CHECK(second.get("k", "newer") == "new");
}

TEST_CASE("after invalidate() no caller joins a fill that began before", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  HeldFill held;
  auto filling = worker.cache().get_or_fill("k", {}, held.function());
  start(worker, filling);
  REQUIRE(worker.wait([&] { return held.begun == 1; }));
  worker.run(worker.cache().invalidate("k"));
  CHECK(worker.get("k", "new") == "new");
  held.value = "old";
  CHECK(worker.finish(filling) == "old");
  CHECK(worker.get("k", "newer") == "new");
}

TEST_CASE("a tag that is invalidated while a fill runs invalidates what it returns", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  HeldFill held;
  auto filling = first.cache().get_or_fill("k", {.tags = {"t"}}, held.function());
  start(first, filling);
  REQUIRE(first.wait([&] { return held.begun == 1; }));
  auto fresh = [] { return std::string("new"); };
  auto following = first.cache().get_or_fill("k", {.tags = {"t"}}, fresh);
  start(first, following);
  second.run(second.cache().invalidate_tag("t"));
  held.value = "old";
  CHECK(first.finish(filling) == "old");
  CHECK(first.finish(following) == "new");
  CHECK(second.get("k", "newer") == "new");
}

TEST_CASE("an invalidation that Redis does not get throws", "[cache]") {
  RedisProcess redis;
  CacheWorker worker(redis.url());
  redis.stop();
  REQUIRE(worker.wait([&] { return !worker.state->redis_up(); }));
  CHECK_THROWS_AS(worker.run(worker.cache().invalidate("k")), RedisUnavailable);
  CHECK_THROWS_AS(worker.run(worker.cache().invalidate_tag("t")), RedisUnavailable);
}

TEST_CASE("a tag that is given twice counts once", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  const auto commands_of_hit = [&](const std::string& key, const CacheOptions& options) {
    worker.get(key, "old", options);
    const auto before = worker.count(Count::redis_commands);
    CHECK(worker.get(key, "not called", options) == "old");
    return worker.count(Count::redis_commands) - before;
  };
  const CacheOptions twice{.tags = {"t", "t"}};
  CHECK(commands_of_hit("k", twice) == commands_of_hit("other", {.tags = {"t"}}));
  worker.run(worker.cache().invalidate_tag("t"));
  CHECK(worker.get("k", "new", twice) == "new");
}

TEST_CASE("a value that is invalidated before a caller begins is not shared with it", "[cache]") {
  // Who came while the value was being stored got it, without a look whether it was still valid.
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  const CacheOptions options{.tags = {"t"}};
  HeldFill held;
  auto filling = first.cache().get_or_fill("k", options, held.function());
  start(first, filling);
  REQUIRE(first.wait([&] { return held.begun == 1; }));
  const bool early = GENERATE(true, false);
  if (early) second.run(second.cache().invalidate_tag("t"));
  held.value = "old";
  while (redis.command({"EXISTS", kEntry}) == "0") first.poll();
  if (!early) second.run(second.cache().invalidate("k"));
  auto fill = [] { return std::string("new"); };
  auto asked = first.cache().get_or_fill("k", options, fill);
  start(first, asked);
  REQUIRE(first.wait([&] { return filling.done() && asked.done(); }));
  CHECK(filling.take() == "old");
  CHECK(asked.take() == "new");
}

TEST_CASE("a value that a full Redis does not take is not shared after its invalidation either", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  HeldFill held;
  auto filling = first.cache().get_or_fill("k", {}, held.function());
  start(first, filling);
  REQUIRE(first.wait([&] { return held.begun == 1; }));
  second.run(second.cache().invalidate("k"));  // a full Redis deletes
  auto fill = [] { return std::string("new"); };
  auto asked = first.cache().get_or_fill("k", {}, fill);
  start(first, asked);
  held.value = "old";
  REQUIRE(first.wait([&] { return filling.done() && asked.done(); }));
  CHECK(filling.take() == "old");
  CHECK(asked.take() == "new");
}

TEST_CASE("a value past its ttl is answered at once while one worker computes it anew", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  const CacheOptions options{.ttl = 100s, .stale = 50s};
  first.get("k", "old", options);
  make_stale(redis, 50s);
  HeldFill held;
  CHECK(first.run(first.cache().get_or_fill("k", options, held.function())) == "old");
  REQUIRE(first.wait([&] { return held.begun == 1; }));
  CHECK(first.get("k", "not called", options) == "old");
  CHECK(second.get("k", "not called", options) == "old");
  CHECK(first.count(Count::cache_stale) == 2);
  CHECK(second.count(Count::cache_stale) == 1);
  second.turn(20ms);  // its refresh finds that another worker does it
  held.value = "new";
  REQUIRE(first.wait([&] { return first.count(Count::cache_fills) == 2; }));
  REQUIRE(first.wait([&] { return redis.command({"EXISTS", "app:c:{k}:l"}) == "0"; }));
  CHECK(first.get("k", "not called", options) == "new");
  CHECK(second.get("k", "not called", options) == "new");
  CHECK(second.count(Count::cache_fills) == 0);
}

TEST_CASE("a refresh that fails leaves the old value and is not repeated for every request", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  const CacheOptions options{.ttl = 100s, .stale = 50s};
  worker.get("k", "old", options);
  make_stale(redis, 50s);
  int refreshed = 0;
  auto failing = [&refreshed]() -> std::string {
    ++refreshed;
    throw std::runtime_error("told in the log of this test");
  };
  const auto began = Clock::now();
  for (int i = 0; i < 20; ++i) {
    CHECK(worker.run(worker.cache().get_or_fill("k", options, failing)) == "old");
    REQUIRE(worker.wait([&] { return refreshed > 0 && redis.command({"EXISTS", "app:c:{k}:l"}) == "0"; }));
  }
  CHECK(refreshed <= 1 + (Clock::now() - began) / 1s);
}

TEST_CASE("a refresh that hangs does not keep the key from others once the old value has ended", "[cache]") {
  // Its claim was renewed until its worker ended, and every caller waited for it.
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  worker.get("k", "old", {.ttl = 100s, .stale = 50s});
  CHECK(redis.command({"PEXPIRE", kEntry, "2000"}) == "1");
  HeldFill hangs;
  const CacheOptions options{.ttl = 100ms, .stale = 50s};
  CHECK(worker.run(worker.cache().get_or_fill("k", options, hangs.function())) == "old");
  REQUIRE(worker.wait([&] { return hangs.begun == 1; }));
  REQUIRE(worker.wait([&] { return redis.command({"EXISTS", kEntry}) == "0"; }));
  auto fill = [] { return std::string("new"); };
  auto asked = worker.cache().get_or_fill("k", options, fill);
  start(worker, asked);
  REQUIRE(worker.wait([&] { return asked.done(); }));
  CHECK(asked.take() == "new");
}

TEST_CASE("an invalidated value is not used past its ttl either", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  const CacheOptions options{.ttl = 100s, .stale = 50s, .tags = {"t"}};
  worker.get("k", "old", options);
  worker.run(worker.cache().invalidate_tag("t"));
  make_stale(redis, 50s);
  CHECK(worker.get("k", "new", options) == "new");
}
