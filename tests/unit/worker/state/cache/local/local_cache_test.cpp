// Local copies, which Redis keeps right.
#include "support/log_lines.h"
#include "support/processes/redis_cluster.h"
#include "unit/worker/state/cache/local/local_reads.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("a value that is read with local comes from the worker's memory", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  worker.get("k", "v", kLocal);
  REQUIRE(becomes_local(worker, "k", "v"));
  const auto hits = worker.count(Count::cache_hits);
  CHECK(worker.get("k", "not called", kLocal) == "v");
  CHECK(worker.count(Count::cache_hits) == hits + 1);
}

TEST_CASE("a change by another worker drops the local copy", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  first.get("k", "old", kLocal);
  REQUIRE(becomes_local(first, "k", "old"));
  second.run(second.cache().invalidate("k"));
  CHECK(second.get("k", "new", kLocal) == "new");
  CHECK(first.wait([&] { return first.get("k", "not called", kLocal) == "new"; }));
  REQUIRE(becomes_local(first, "k", "new"));
}

TEST_CASE("an invalidated tag drops the local copies that carry it", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  const CacheOptions options{.ttl = 100s, .tags = {"t"}, .local = true};
  first.get("k", "old", options);
  REQUIRE(becomes_local(first, "k", "old", options));
  second.run(second.cache().invalidate_tag("t"));
  CHECK(first.wait([&] { return first.get("k", "new", options) == "new"; }));
}

// Each fill prolonged the life of its tags' versions, which Redis tells as a change.
TEST_CASE("a fill does not drop the local copies that carry the same tag", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  const CacheOptions options{.ttl = 100s, .tags = {"t"}, .local = true};
  first.get("k", "v", options);
  REQUIRE(becomes_local(first, "k", "v", options));
  first.get("last", "v", kLocal);
  REQUIRE(becomes_local(first, "last", "v"));
  first.turn(5ms);  // the version lives for less than at the fill
  CHECK(second.get("other", "v", options) == "v");
  second.run(second.cache().invalidate("last"));
  CHECK(first.wait([&] { return first.state->cache->find_local("last") == nullptr; }));
  CHECK(first.state->cache->find_local("k") != nullptr);
}

TEST_CASE("a worker sees its own changes at once", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  const CacheOptions options{.ttl = 100s, .tags = {"t"}, .local = true};
  worker.get("k", "1", options);
  REQUIRE(becomes_local(worker, "k", "1", options));
  worker.run(worker.cache().invalidate("k"));
  CHECK(worker.get("k", "2", options) == "2");
  REQUIRE(becomes_local(worker, "k", "2", options));
  worker.run(worker.cache().invalidate_tag("t"));
  CHECK(worker.get("k", "3", options) == "3");
  REQUIRE(becomes_local(worker, "k", "3", options));
  worker.run(worker.cache().write_through("k", "4", [] {}, options));
  CHECK(worker.get("k", "not called", options) == "4");
  REQUIRE(becomes_local(worker, "k", "4", options));
  worker.run(worker.cache().write_behind("k", "5", [] {}, options));
  CHECK(worker.get("k", "not called", options) == "5");
}

TEST_CASE("a flush of Redis drops all local copies", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  worker.get("k", "old", kLocal);
  REQUIRE(becomes_local(worker, "k", "old"));
  redis.command({"FLUSHALL"});
  CHECK(worker.wait([&] { return worker.get("k", "new", kLocal) == "new"; }));
}

TEST_CASE("a connection that breaks drops all local copies, and they are right again afterwards", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  worker.get("k", "old", kLocal);
  for (const char* type : {"pubsub", "normal"}) {
    const std::string value = worker.get("k", "old", kLocal);
    REQUIRE(becomes_local(worker, "k", value));
    redis.command({"CLIENT", "KILL", "TYPE", type, "SKIPME", "yes"});
    redis.command({"DEL", "app:c:{k}"});  // nobody hears of it
    // Without a connection the fill runs and nothing is stored.
    CHECK(worker.wait(
        [&] { return worker.get("k", type, kLocal) == type && redis.command({"EXISTS", "app:c:{k}"}) == "1"; }));
  }
  REQUIRE(becomes_local(worker, "k", "normal"));
  CacheWorker other(redis.url());
  other.run(other.cache().invalidate("k"));
  CHECK(worker.wait([&] { return worker.get("k", "new", kLocal) == "new"; }));
}

TEST_CASE("a Redis that refuses tracking is used without local copies", "[cache]") {
  const RedisProcess redis;
  redis.command({"ACL", "SETUSER", "default", "-client|tracking"});
  CacheWorker worker(redis.url());
  CHECK(worker.get("k", "v", kLocal) == "v");
  worker.turn(50ms);
  const auto commands = worker.count(Count::redis_commands);
  CHECK(worker.get("k", "not called", kLocal) == "v");
  CHECK(worker.count(Count::redis_commands) > commands);
}

TEST_CASE("cache_local_memory 0 switches local copies off", "[cache]") {
  const RedisProcess redis;
  Config config = config_for(redis.url());
  config.cache_local_memory = 0;
  CacheWorker worker(config);
  worker.ready();
  CHECK(worker.get("k", "v", kLocal) == "v");
  worker.turn(20ms);
  const auto commands = worker.count(Count::redis_commands);
  CHECK(worker.get("k", "not called", kLocal) == "v");
  CHECK(worker.count(Count::redis_commands) > commands);
}

TEST_CASE("after a failover of sentinels the new primary tells of changes of local copies", "[sentinel][cache]") {
  const LogLines lines;
  RedisSentinels sentinels;
  CacheWorker worker(config_for(sentinels.url()));
  worker.ready();
  CHECK(worker.get("k", "one", kLocal) == "one");
  REQUIRE(becomes_local(worker, "k", "one"));
  REQUIRE(worker.wait([&] { return sentinels.sentinel(0).command({"SENTINEL", "FAILOVER", "main"}) == "OK"; }));
  REQUIRE(worker.wait([&] { return sentinels.primary() != 0; }, 60s));
  const RedisProcess& primary = sentinels.server(sentinels.primary());
  REQUIRE(worker.wait(
      [&] {
        (void)worker.get("k", "one", kLocal);
        const std::string clients = primary.command({"CLIENT", "LIST"});
        return clients.find("name=app:0 ") != std::string::npos &&
               clients.find("name=app:0:events") != std::string::npos;
      },
      60s));
  REQUIRE(worker.wait([&] { return is_local(worker, "k", "one"); }, 30s));
  CHECK(lines.with("the cache keeps no local copies") == 0);
  CHECK(primary.command({"DEL", "app:c:{k}"}) == "1");
  REQUIRE(worker.wait([&] { return worker.get("k", "two", kLocal) == "two"; }));
}
