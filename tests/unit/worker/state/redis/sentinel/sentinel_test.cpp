#include "support/log_lines.h"
#include "support/processes/redis_cluster.h"
#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::uint64_t gets_of(const RedisProcess& server) {
  return number_in(server.command({"INFO", "commandstats"}), "cmdstat_get:calls=");
}

// "" while nobody answers.
std::string stale_get(StateWorker& worker, Redis redis, const std::string& key) {
  try {
    const Reply value = worker.run(redis.command("GET", key));
    return value.is_string() ? value.string() : "";
  } catch (const RedisUnavailable&) {
    return "";
  }
}

// Reads until a replica answers. Returns its index.
std::size_t wait_for_replica(StateWorker& worker, RedisSentinels& sentinels, std::initializer_list<std::size_t> among) {
  std::size_t answered = SIZE_MAX;
  const auto is_answered = [&] {
    std::vector<std::uint64_t> before;
    for (const std::size_t index : among) before.push_back(gets_of(sentinels.server(index)));
    if (stale_get(worker, worker.redis().prefer_replica(), "k") != "v") return false;
    std::size_t position = 0;
    for (const std::size_t index : among) {
      if (gets_of(sentinels.server(index)) > before[position++]) answered = index;
    }
    return answered != SIZE_MAX;
  };
  REQUIRE(worker.wait(is_answered, 60s));
  return answered;
}

}  // namespace

TEST_CASE("the primary that sentinels name is used, and its successor after a failover", "[redis][sentinel]") {
  RedisSentinels sentinels;
  StateWorker worker(config_for(sentinels.url(), 500ms));
  worker.ready();
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  REQUIRE(sentinels.primary() == 0);
  CHECK(sentinels.server(0).command({"GET", "k"}) == "v");
  REQUIRE(worker.wait([&] {
    return sentinels.server(1).command({"GET", "k"}) == "v" && sentinels.server(2).command({"GET", "k"}) == "v";
  }));

  sentinels.server(0).kill();
  REQUIRE(worker.wait([&] { return !worker.state->redis_up(); }));
  CHECK(worker.row->redis_state.load() == RedisState::down);
  REQUIRE(worker.wait([&] { return sentinels.primary() != 0; }, 60s));
  const std::uint64_t decided_ns = uv_hrtime();
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }, 60s));
  CHECK(uv_hrtime() - decided_ns < 5'000'000'000);
  CHECK(worker.command("GET", "k").string() == "v");
  CHECK(worker.command("SET", "k", "w").string() == "OK");
  CHECK(sentinels.server(sentinels.primary()).command({"GET", "k"}) == "w");
}

TEST_CASE("a failover that was asked for moves the connection to the new primary", "[redis][sentinel]") {
  RedisSentinels sentinels;
  StateWorker worker(config_for(sentinels.url()));
  worker.ready();
  REQUIRE(worker.wait([&] { return sentinels.sentinel(0).command({"SENTINEL", "FAILOVER", "main"}) == "OK"; }));
  REQUIRE(worker.wait([&] { return sentinels.primary() != 0; }, 60s));
  REQUIRE(worker.wait(
      [&] {
        try {
          return worker.command("SET", "k", "w").string() == "OK" &&
                 sentinels.server(sentinels.primary()).command({"GET", "k"}) == "w";
        } catch (const RedisUnavailable&) {
          return false;
        }
      },
      60s));
}

TEST_CASE("sentinels are asked in turn, and an unknown primary is told", "[redis][sentinel]") {
  RedisSentinels sentinels;
  const std::string port = std::to_string(sentinels.sentinel(2).port());
  StateWorker worker(config_for("redis+sentinel://127.0.0.1:1,127.0.0.1:" + port + "/main", 1s));
  worker.ready();
  StateWorker lost(config_for("redis+sentinel://127.0.0.1:" + port + "/other", 300ms));
  lost.start();
  REQUIRE(lost.wait([&] { return lost.row->redis_error.get().find("does not know \"other\"") != std::string::npos; }));
  CHECK_THROWS_AS(lost.command("GET", "k"), RedisUnavailable);
}

TEST_CASE("reads that may be stale go to a replica that sentinels name, and writes to the primary",
          "[redis][sentinel]") {
  RedisSentinels sentinels;
  StateWorker worker(config_for(sentinels.url()));
  worker.ready();
  Redis stale = worker.redis().prefer_replica();
  CHECK(worker.run(stale.command("SET", "k", "v")).string() == "OK");  // before a replica is known
  const std::size_t replica = wait_for_replica(worker, sentinels, {1, 2});
  CHECK(worker.row->redis_nodes[1].is_replica.load() == 1);
  CHECK(worker.row->redis_nodes[1].address.get().ends_with(":" + std::to_string(sentinels.server(replica).port())));
  const std::uint64_t primary_before = gets_of(sentinels.server(0)),
                      replica_before = gets_of(sentinels.server(replica));
  for (int i = 0; i < 10; ++i) CHECK(stale_get(worker, stale, "k") == "v");
  CHECK(gets_of(sentinels.server(0)) == primary_before);
  CHECK(gets_of(sentinels.server(replica)) == replica_before + 10);

  CHECK(worker.run(stale.command("INCR", "n")).integer() == 1);
  const Script script("return redis.call('INCR', KEYS[1])");
  CHECK(worker.run(stale.script(script, {"n"})).integer() == 2);
  const std::vector<Reply> replies =
      worker.run(stale.pipeline({Command("GET", "k"), Command("INCR", "n"), Command("MULTI"), Command("GET", "n"),
                                 Command("INCR", "n"), Command("EXEC"), Command("NONSENSE")}));
  REQUIRE(replies.size() == 7);
  CHECK(replies[0].string() == "v");
  CHECK(replies[1].integer() == 3);
  REQUIRE(replies[5].is_array());
  CHECK(replies[5].array()[1].integer() == 4);
  CHECK(replies[6].is_error());
  CHECK(sentinels.server(0).command({"GET", "n"}) == "4");
  CHECK(number_in(sentinels.server(0).command({"INFO", "commandstats"}), "cmdstat_multi:calls=") == 1);
  (void)worker.run(stale.command("PUBLISH", "news", "x"));
  CHECK(number_in(sentinels.server(0).command({"INFO", "commandstats"}), "cmdstat_publish:calls=") > 0);
}

TEST_CASE("reads that may be stale go on while replicas and the primary of sentinels are lost", "[redis][sentinel]") {
  RedisSentinels sentinels;
  StateWorker worker(config_for(sentinels.url(), 2s));
  worker.ready();
  Redis stale = worker.redis().prefer_replica();
  CHECK(worker.run(stale.command("SET", "k", "v")).string() == "OK");
  const std::size_t first = wait_for_replica(worker, sentinels, {1, 2});
  const std::size_t other = 3 - first;
  sentinels.server(first).kill();
  CHECK(wait_for_replica(worker, sentinels, {other}) == other);

  sentinels.server(0).kill();
  REQUIRE(worker.wait([&] { return !worker.state->redis_up(); }));
  CHECK(stale_get(worker, stale, "k") == "v");  // nobody is promoted yet
  REQUIRE(worker.wait([&] { return sentinels.primary() == other; }, 60s));
  REQUIRE(worker.wait([&] { return worker.state->redis_up(); }, 60s));
  // No replica is left: the primary serves them.
  REQUIRE(worker.wait([&] { return stale_get(worker, stale, "k") == "v"; }, 60s));
}

TEST_CASE("after a failover, reads that may be stale go to a replica of the new primary", "[redis][sentinel]") {
  RedisSentinels sentinels;
  StateWorker worker(config_for(sentinels.url()));
  worker.ready();
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  (void)wait_for_replica(worker, sentinels, {1, 2});
  REQUIRE(worker.wait([&] { return sentinels.sentinel(0).command({"SENTINEL", "FAILOVER", "main"}) == "OK"; }));
  REQUIRE(worker.wait([&] { return sentinels.primary() != 0; }, 60s));
  const std::size_t primary = sentinels.primary();
  const std::size_t replica = wait_for_replica(worker, sentinels, {0, 3 - primary});
  // The connection to what was a replica is left, even though it answers.
  REQUIRE(worker.wait(
      [&] {
        const std::uint64_t before = gets_of(sentinels.server(primary));
        for (int i = 0; i < 5; ++i) (void)stale_get(worker, worker.redis().prefer_replica(), "k");
        return gets_of(sentinels.server(primary)) == before;
      },
      60s));
  CHECK(replica != primary);
}

TEST_CASE("a sentinel that names a server which is no primary is not believed for ever", "[redis][sentinel]") {
  RedisSentinels sentinels;
  RedisProcess alone({.password = {},
                      .tcp = true,
                      .arguments = {"--sentinel"},
                      .configuration = "sentinel monitor main 127.0.0.1 " + std::to_string(free_port()) + " 2\n"});
  std::string url = sentinels.url();
  url.insert(url.find("127."), "127.0.0.1:" + std::to_string(alone.port()) + ",");
  StateWorker worker(config_for(url, 500ms));
  worker.start();
  REQUIRE(worker.wait([&worker] { return worker.state->redis_up(); }, 30s));
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  CHECK(sentinels.server(0).command({"GET", "k"}) == "v");
}

TEST_CASE("sentinels that do not answer are logged once", "[redis][sentinel]") {
  const LogLines lines;
  RedisProcess silent({.password = {}, .tcp = true, .arguments = {}});
  StateWorker worker(config_for(
      "redis+sentinel://127.0.0.1:1,127.0.0.1:2,127.0.0.1:" + std::to_string(silent.port()) + "/main", 200ms));
  worker.start();
  struct Nobody final : worker::Subscriber::Listener {
    void message(std::string_view, const Reply&) override {}
  } nobody;
  const worker::Subscription events = worker.state->subscriber->subscribe("c", nobody);
  const auto asked = [&silent] { return number_in(silent.command({"INFO", "stats"}), "total_connections_received:"); };
  const std::uint64_t before = asked();
  std::uint64_t looks = 0;  // connections of our own
  REQUIRE(worker.wait([&] { return asked() - before - ++looks >= 5; }, 30s));
  CHECK(lines.with("no sentinel names the primary") == 1);
  CHECK(lines.with("a sentinel does not name the primary reason=\"sentinel 127.0.0.1:1: connection refused\"") == 1);
  CHECK(lines.with("Redis is unreachable") <= 1);  // the primary
  REQUIRE(worker.wait([&] { return lines.with("messages of Redis may be missed") == 1; }, 30s));
  CHECK(lines.with("address=\"\"") == 0);
}

// The log said the same twice in one line, for ever, and the server had started.
TEST_CASE("sentinels that all reject the password end the start", "[redis][sentinel]") {
  const RedisProcess first({.password = "secret", .tcp = true, .arguments = {}});
  const RedisProcess second({.password = "secret", .tcp = true, .arguments = {}});
  const auto url = [&](const std::string& user, unsigned other) {
    return "redis+sentinel://" + user + "127.0.0.1:" + std::to_string(first.port()) +
           ",127.0.0.1:" + std::to_string(other) + "/main";
  };
  const auto why_of = [&](const std::string& user) {
    StateWorker worker(config_for(url(user, second.port())));
    worker.start();
    REQUIRE(worker.wait([&worker] { return !worker.fatal.empty(); }));
    return worker.fatal;
  };
  const std::string sentinel =
      "no sentinel of the option redis names the primary: sentinel 127.0.0.1:" + std::to_string(second.port());
  CHECK(why_of(":wrong@") == sentinel + ": it rejects the user or password of the option redis (WRONGPASS)");
  CHECK(why_of("") == sentinel + ": it requires a password: set [user]:password@ before the host");

  // The other one may come back, and know better.
  const LogLines lines;
  StateWorker patient(config_for(url(":wrong@", free_port()), 200ms));
  patient.start();
  REQUIRE(patient.wait([&lines] { return lines.with("no sentinel names the primary") == 1; }));
  CHECK(lines.with(": it rejects the user or password of the option redis (WRONGPASS)") > 0);
  CHECK(patient.fatal.empty());
}
