// What callers of get_or_fill() get, with several workers on one Redis.
#include <atomic>
#include <stdexcept>

#include "support/log_lines.h"
#include "unit/worker/state/answering_server.h"
#include "unit/worker/state/cache/cache_worker.h"
#include "worker/state/cache/store/fill_claim.h"
#include "worker/state/idempotency/holder.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

constexpr const char* kEntry = "app:c:{k}";
constexpr const char* kLock = "app:c:{k}:l";

// A call that accepts nothing older than itself, as a request with "Cache-Control: no-cache" makes it.
std::shared_ptr<worker::CacheCall> renewing_call(CacheWorker& worker, HeldFill& fill) {
  auto call = worker.state->cache->prepare("k", {});
  call->max_age = 0ms;
  call->fill = std::make_shared<detail::CacheFillOf<decltype(fill.function())>>(std::in_place, fill.function());
  return call;
}

}  // namespace

TEST_CASE("a value is computed once and then comes from the cache, in every worker", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  CHECK(first.get("k", "one") == "one");
  CHECK(first.get("k", "two") == "one");
  CHECK(second.get("k", "three") == "one");
  CHECK(first.count(Count::cache_misses) == 1);
  CHECK(first.count(Count::cache_fills) == 1);
  CHECK(first.count(Count::cache_hits) == 1);
  CHECK(second.count(Count::cache_hits) == 1);
  CHECK(second.count(Count::cache_fills) == 0);
}

TEST_CASE("keys and values are any bytes", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  const std::string bytes("a\0{}\r\n\xff*", 8);
  const std::string longest(Cache::kMaxKey, '\xfe');
  CHECK(worker.get(bytes, bytes) == bytes);
  CHECK(worker.get(bytes, "new") == bytes);
  CHECK(worker.get(longest, "") == "");
  CHECK(worker.get(longest, "new") == "");
  CHECK(worker.get("another", "new") == "new");
  CHECK_THROWS_AS(worker.get("", "new"), std::invalid_argument);
  CHECK_THROWS_AS(worker.get(longest + "x", "new"), std::invalid_argument);
}

TEST_CASE("options out of range are refused", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  CHECK_THROWS_AS(worker.get("k", "v", {.ttl = 0ms}), std::invalid_argument);
  CHECK_THROWS_AS(worker.get("k", "v", {.ttl = 367 * 24h}), std::invalid_argument);
  CHECK_THROWS_AS(worker.get("k", "v", {.stale = -1ms}), std::invalid_argument);
  CHECK_THROWS_AS(worker.get("k", "v", {.negative = -1ms}), std::invalid_argument);
  CHECK_THROWS_AS(worker.get("k", "v", {.tags = {""}}), std::invalid_argument);
  const std::vector<std::string> many(9, "tag");
  CHECK_THROWS_AS(CacheTags(many), std::invalid_argument);
}

TEST_CASE("callers of one worker share one fill", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  HeldFill held;
  std::vector<Task<std::string>> callers;
  for (int i = 0; i < 20; ++i) callers.push_back(worker.cache().get_or_fill("k", {}, held.function()));
  for (auto& caller : callers) start(worker, caller);
  REQUIRE(worker.wait([&] { return held.begun == 1 && worker.count(Count::cache_waits) == 19; }));
  held.value = "shared";
  for (auto& caller : callers) CHECK(worker.finish(caller) == "shared");
  CHECK(held.begun == 1);
  CHECK(worker.count(Count::cache_fills) == 1);
}

// What had changed before the request, and after the fill had begun, was not in what it got.
TEST_CASE("a caller that wants nothing old does not share a fill that has begun before it", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  HeldFill before;
  HeldFill after;
  auto filling = worker.cache().get_or_fill("k", {}, before.function());
  start(worker, filling);
  REQUIRE(worker.wait([&] { return before.begun == 1; }));
  std::vector<Task<worker::CacheAnswer>> renewing;
  for (int i = 0; i < 3; ++i) renewing.push_back(worker.state->cache->fetch(renewing_call(worker, after)));
  for (auto& caller : renewing) start(worker, caller);
  REQUIRE(worker.wait([&] { return worker.count(Count::cache_waits) == 3; }));
  before.value = "old";
  CHECK(worker.finish(filling) == "old");
  REQUIRE(worker.wait([&] { return after.begun > 0; }));
  after.value = "new";
  for (auto& caller : renewing) CHECK(worker.finish(caller).value == "new");
  CHECK(after.begun == 1);  // which they share: it has begun later than all of them
  CHECK(worker.get("k", "none") == "new");
}

TEST_CASE("callers of other workers wait for the fill of the first", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  HeldFill held;
  HeldFill never;
  auto filling = first.cache().get_or_fill("k", {}, held.function());
  start(first, filling);
  REQUIRE(first.wait([&] { return held.begun == 1; }));
  auto waiting = second.cache().get_or_fill("k", {}, never.function());
  start(second, waiting);
  REQUIRE(wait_all({&second, &first}, [&] { return second.count(Count::cache_waits) == 1; }));
  held.value = "theirs";
  REQUIRE(wait_all({&second, &first}, [&] { return waiting.done() && filling.done(); }));
  CHECK(waiting.take() == "theirs");
  CHECK(never.begun == 0);
}

TEST_CASE("what a fill throws goes to its caller, and a waiting caller runs its own", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  HeldFill failing;
  auto filling = first.cache().get_or_fill("k", {}, failing.function());
  start(first, filling);
  REQUIRE(first.wait([&] { return failing.begun == 1; }));
  auto fill = [] { return std::string("mine"); };
  auto beside = first.cache().get_or_fill("k", {}, fill);
  auto elsewhere = second.cache().get_or_fill("k", {}, fill);
  start(first, beside);
  start(second, elsewhere);
  failing.fails = true;
  REQUIRE(wait_all({&first, &second}, [&] { return filling.done() && beside.done() && elsewhere.done(); }));
  CHECK_THROWS_AS(filling.take(), std::runtime_error);
  CHECK(beside.take() == "mine");
  CHECK(elsewhere.take() == "mine");
  CHECK(first.count(Count::cache_fills) + second.count(Count::cache_fills) == 1);
}

TEST_CASE("when the filling caller leaves, another one fills", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  HeldFill left;
  auto filling = std::make_unique<Task<std::string>>(first.cache().get_or_fill("k", {}, left.function()));
  start(first, *filling);
  REQUIRE(first.wait([&] { return left.begun == 1; }));
  auto fill = [] { return std::string("mine"); };
  auto beside = first.cache().get_or_fill("k", {}, fill);
  auto elsewhere = second.cache().get_or_fill("k", {}, fill);
  start(first, beside);
  start(second, elsewhere);
  filling.reset();
  REQUIRE(wait_all({&first, &second}, [&] { return beside.done() && elsewhere.done(); }));
  CHECK(beside.take() == "mine");
  CHECK(elsewhere.take() == "mine");
}

TEST_CASE("the fill of a process of this machine that has ended is taken over at once", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  const std::string self = worker::name_this_process();
  redis.command({"SET", kLock, self.substr(0, self.rfind(':')) + ":1/7", "PX", "5000"});
  CHECK(worker.get("k", "mine") == "mine");
  CHECK(worker.count(Count::cache_waits) == 0);
}

TEST_CASE("the fill of another machine is taken over when its lease has ended", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  redis.command({"SET", kLock, "elsewhere:1:1/7", "PX", "5000"});  // as taken just now
  CHECK(worker.get("k", "mine") == "mine");
  CHECK(redis.command({"EXISTS", kLock}) == "0");
}

TEST_CASE("a running fill keeps its lease", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  HeldFill held;
  auto filling = worker.cache().get_or_fill("k", {}, held.function());
  start(worker, filling);
  REQUIRE(worker.wait([&] { return held.begun == 1; }));
  redis.command({"PEXPIRE", kLock, "4300"});
  CHECK(worker.wait([&] { return std::stol(redis.command({"PTTL", kLock})) > 4500; }));
  held.value = "v";
  CHECK(worker.finish(filling) == "v");
}

TEST_CASE("ttl is shortened by up to a tenth at random, and never extended", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  long shortest = 1'000'000;
  for (int i = 0; i < 40; ++i) {
    const std::string key = std::to_string(i);
    worker.get(key, "v", {.ttl = 1000s});
    const long life = std::stol(redis.command({"PTTL", "app:c:{" + key + "}"}));
    CHECK(life <= 1'000'000);
    CHECK(life > 890'000);
    shortest = std::min(shortest, life);
  }
  CHECK(shortest < 990'000);
}

TEST_CASE("nullopt is kept for a time of its own", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  int looked = 0;
  auto missing = [&looked]() -> std::optional<std::string> {
    ++looked;
    return std::nullopt;
  };
  CHECK_FALSE(worker.run(worker.cache().get_or_fill("k", {.ttl = 1h, .negative = 50s}, missing)));
  CHECK_FALSE(worker.run(worker.cache().get_or_fill("k", {.ttl = 1h, .negative = 50s}, missing)));
  CHECK(looked == 1);
  CHECK(std::stol(redis.command({"PTTL", kEntry})) <= 50'000);
  CHECK(worker.get("k", "exists now") == "exists now");  // this caller cannot do without a value
  CHECK(worker.run(worker.cache().get_or_fill("k", {}, missing)) == "exists now");
}

TEST_CASE("nullopt is not kept if negative is zero", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  auto missing = []() -> std::optional<std::string> { return std::nullopt; };
  CHECK_FALSE(worker.run(worker.cache().get_or_fill("k", {.negative = 0ms}, missing)));
  CHECK(redis.command({"EXISTS", kEntry, kLock}) == "0");
}

TEST_CASE("a value above max_value is an error, and is not kept", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  CHECK_THROWS_WITH(worker.get("k", std::string(11, 'x'), {.max_value = 10}),
                    "cache: a value of 11 bytes, more than max_value (10)");
  CHECK(redis.command({"EXISTS", kEntry, kLock}) == "0");
  CHECK(worker.get("k", std::string(10, 'x'), {.max_value = 10}) == std::string(10, 'x'));
}

TEST_CASE("data of another type or form under the key is a miss and is overwritten", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  redis.command({"HSET", kEntry, "field", "value"});
  redis.command({"RPUSH", kLock, "item"});
  redis.command({"SADD", "app:c:t:t", "member"});
  CHECK(worker.get("k", "v", {.tags = {"t"}}) == "v");
  CHECK(worker.get("k", "w", {.tags = {"t"}}) == "v");
  redis.command({"SET", kEntry, "something else"});
  CHECK(worker.get("k", "w") == "w");
  CHECK(worker.get("k", "x") == "w");
}

TEST_CASE("without Redis a worker fills by itself, once at a time, and counts that", "[cache]") {
  RedisProcess redis;
  CacheWorker worker(redis.url());
  CHECK(worker.get("k", "one") == "one");
  redis.stop();
  REQUIRE(worker.wait([&] { return !worker.state->redis_up(); }));
  HeldFill held;
  auto first = worker.cache().get_or_fill("k", {}, held.function());
  auto second = worker.cache().get_or_fill("k", {}, held.function());
  start(worker, first);
  start(worker, second);
  REQUIRE(worker.wait([&] { return held.begun == 1 && worker.count(Count::cache_waits) == 1; }));
  held.value = "two";
  CHECK(worker.finish(first) == "two");
  CHECK(worker.finish(second) == "two");
  CHECK(held.begun == 1);
  CHECK(worker.count(Count::cache_unavailable) > 0);
  redis.restart();
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }));
  CHECK(worker.get("k", "three") == "three");
  CHECK(worker.get("k", "four") == "three");
}

TEST_CASE("a Redis that is full is read from, and values are computed without it", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  CHECK(worker.get("k", "kept") == "kept");
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  CHECK(worker.get("k", "new") == "kept");
  CHECK(worker.get("other", "computed") == "computed");
  CHECK(worker.get("other", "again") == "again");
  redis.command({"CONFIG", "SET", "maxmemory", "0"});
  CHECK(worker.get("other", "stored") == "stored");
  CHECK(worker.get("other", "x") == "stored");
}

TEST_CASE("a fill may be a plain function or a coroutine, and returns what converts to a string", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  auto coroutine = []() -> Task<std::optional<std::string>> { co_return "awaited"; };
  CHECK(worker.run(worker.cache().get_or_fill("k", {}, coroutine)) == "awaited");
  auto literal = [] { return "a literal"; };
  CHECK(worker.run(worker.cache().get_or_fill("l", {}, literal)) == "a literal");
}

TEST_CASE("a Redis that serves one command of the cache and not the other is told once", "[cache]") {
  const LogLines lines;
  std::atomic<bool> scripts_work = false;
  AnsweringServer redis([&scripts_work](const std::vector<std::string>& words) -> std::string {
    if (words[0] == "GET") return "$-1\r\n";
    if (words[0] != "EVALSHA") return "+OK\r\n";
    if (!scripts_work) return "+nonsense\r\n";
    const bool takes_claim = words.size() == 9;
    return takes_claim ? "*1\r\n$5\r\ntaken\r\n" : ":1\r\n";
  });
  CacheWorker worker("unix:" + redis.socket());
  for (int i = 0; i < 3; ++i) CHECK(worker.get("k", std::to_string(i)) == std::to_string(i));
  CHECK(lines.with("Redis refuses the commands of the cache") == 1);
  CHECK(lines.with("Redis serves the cache again") == 0);
  scripts_work = true;
  REQUIRE(worker.wait(
      [&] {
        (void)worker.get("k", "value");
        return lines.with("Redis serves the cache again") == 1;
      },
      30s));
  CHECK(lines.with("Redis refuses the commands of the cache") == 1);
}
