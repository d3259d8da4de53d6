#include <algorithm>
#include <stdexcept>

#include "pronghorn/app.h"
#include "pronghorn/error.h"
#include "pronghorn/testing.h"
#include "unit/worker/state/cache/cache_worker.h"
#include "worker/state/cache/write_queue.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

// A database that can be held up, and can fail.
struct Database {
  std::vector<std::string> saved = {};
  int attempts = 0;
  bool go = true;
  bool fails = false;

  auto save() {
    return [this](const std::string& value) -> Task<void> {
      ++attempts;
      while (!go) co_await sleep_for(std::chrono::milliseconds(1));
      if (fails) throw std::runtime_error("told in the log of this test");
      saved.push_back(value);
    };
  }
};

}  // namespace

TEST_CASE("write_behind puts a value into the cache at once and saves it later", "[cache]") {
  const RedisProcess redis;
  CacheWorker first(redis.url());
  CacheWorker second(redis.url());
  Database database{.go = false};
  first.get("k", "old");
  first.run(first.cache().write_behind("k", "new", database.save(), {.tags = {"t"}}));
  CHECK(database.saved.empty());
  CHECK(first.count(Count::cache_queued_writes) == 1);
  CHECK(second.get("k", "not called") == "new");
  database.go = true;
  REQUIRE(first.wait([&] { return first.count(Count::cache_queued_writes) == 0; }));
  CHECK(database.saved == std::vector<std::string>{"new"});
  CHECK(second.get("k", "not called") == "new");
  second.run(second.cache().invalidate_tag("t"));
  CHECK(first.get("k", "computed") == "computed");
}

TEST_CASE("of the values that come while one of the key is being saved only the latest is saved", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  Database database{.go = false};
  for (const char* value : {"1", "2", "3", "4"}) {
    worker.run(worker.cache().write_behind("k", value, database.save()));
  }
  worker.run(worker.cache().write_behind("other", "5", database.save()));
  CHECK(worker.count(Count::cache_queued_writes) == 3);  // one of k is running
  CHECK(database.attempts == 2);
  database.go = true;
  worker.run(worker.state->cache->drain());
  std::ranges::sort(database.saved);
  CHECK(database.saved == std::vector<std::string>{"1", "4", "5"});
  CHECK(worker.get("k", "not called") == "4");
}

TEST_CASE("a save that fails is repeated until it succeeds", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  Database database{.fails = true};
  worker.run(worker.cache().write_behind("k", "v", database.save()));
  Database works;
  worker.run(worker.cache().write_behind("other", "w", works.save()));  // is not held up
  REQUIRE(worker.wait([&] { return database.attempts >= 2 && works.saved.size() == 1; }));
  database.fails = false;
  worker.run(worker.state->cache->drain());
  CHECK(database.saved == std::vector<std::string>{"v"});
}

TEST_CASE("many values that cannot be saved leave the loop to others", "[cache]") {
  // A save that threw before it waited for anything was followed by the next one, and so on through all that were due:
  // the loop stood still for seconds, as each of them searched the whole queue.
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  int attempts = 0;
  const auto save = [&attempts](const std::string&) {
    ++attempts;
    throw std::runtime_error("told in the log of this test");
  };
  for (int i = 0; i < 500; ++i) worker.run(worker.cache().write_behind("k" + std::to_string(i), "v", save));
  int most = 0;
  while (attempts < 1500) {
    const int before = attempts;
    worker.poll();
    most = std::max(most, attempts - before);
  }
  CHECK(most < 100);
  CHECK(worker.count(Count::cache_queued_writes) == 500);
}

TEST_CASE("an entry that was filled while an older value was in the database is removed after the save", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  Database database{.go = false};
  worker.run(worker.cache().write_behind("k", "new", database.save()));
  redis.command({"DEL", "app:c:{k}"});  // evicted
  CHECK(worker.get("k", "old, read from the database") == "old, read from the database");
  database.go = true;
  worker.run(worker.state->cache->drain());
  REQUIRE(worker.wait([&] { return redis.command({"EXISTS", "app:c:{k}"}) == "0"; }));
  CHECK(worker.get("k", "new, read from the database") == "new, read from the database");
}

TEST_CASE("a full queue refuses values with 503", "[cache]") {
  const RedisProcess redis;
  CacheWorker worker(redis.url());
  Database database{.go = false};
  struct Save final : detail::CacheSave {
    Task<void> run(const std::string&) override {
      while (!*go) co_await sleep_for(std::chrono::milliseconds(1));
    }
    bool* go;
  };
  worker::WriteQueue queue(*worker.state->redis, *worker.row, {.keys = 2, .bytes = 100});
  const auto push = [&](const std::string& key, const std::string& value) {
    const worker::WriteQueue::Place place(queue, key, value.size());
    auto save = std::make_unique<Save>();
    save->go = &database.go;
    queue.push({key, key + ":l", key + ":n"}, "id", value, std::move(save));
  };
  push("a", std::string(100, 'x'));
  push("b", std::string(100, 'x'));
  CHECK_THROWS_AS(push("c", "x"), HttpError);
  // A key that is queued, or being saved, gets another value.
  push("b", std::string(99, 'y'));
  push("a", "y");
  CHECK_THROWS_AS(push("b", std::string(100, 'z')), HttpError);
  push("b", std::string(99, 'z'));
  push("a", "z");
  CHECK_THROWS_AS(push("c", "x"), HttpError);
  database.go = true;
  worker.run(queue.drain());
  push("c", "x");
  CHECK_THROWS_AS(push("d", std::string(101, 'x')), HttpError);
  worker.run(queue.drain());
}

TEST_CASE("nothing is saved if the cache does not take the value", "[cache]") {
  RedisProcess redis;
  CacheWorker worker(redis.url());
  redis.stop();
  REQUIRE(worker.wait([&] { return !worker.state->redis_up(); }));
  Database database;
  CHECK_THROWS_AS(worker.run(worker.cache().write_behind("k", "v", database.save())), RedisUnavailable);
  CHECK(worker.count(Count::cache_queued_writes) == 0);
  CHECK(database.attempts == 0);
}

TEST_CASE("a TestClient saves what is queued before it ends", "[cache]") {
  const RedisProcess redis;
  std::string saved;
  {
    TestClient client(
        [&saved](App& app) {
          app.post("/write", [&saved](Request& request) -> Task<Response> {
            auto save = [&saved](const std::string& value) -> Task<void> {
              co_await sleep_for(std::chrono::milliseconds(50));
              saved = value;
            };
            co_await request.cache().write_behind("k", "v", save);
            co_return no_content();
          });
        },
        TestOptions{.redis = redis.url()});
    CHECK(client.post("/write").status == 204);
    CHECK(saved.empty());
  }
  CHECK(saved == "v");
}
