// The table "When something is wrong" of docs/state.md: one case for each row. Every feature of the demo is asked while it
// lasts and after it; the log must have one line when it begins and one when it ends.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "support/processes/redis_cluster.h"
#include "support/processes/redis_process.h"
#include "support/processes/redis_refusals.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

using Answers = std::map<std::string, int>;  // the status of a request to each feature

const Answers kServed{{"session, read", 200}, {"session, changed", 200},
                      {"limit", 200},         {"idempotent", 201},
                      {"cache", 200},         {"event", 200},
                      {"job", 202},           {"token, checked", 200},
                      {"token, issued", 200}};
const Answers kUnavailable{{"session, read", 503}, {"session, changed", 503},
                           {"limit", 200},         {"idempotent", 503},
                           {"cache", 200},         {"event", 503},
                           {"job", 503},           {"token, checked", 503},
                           {"token, issued", 503}};
const Answers kNoWrites{{"session, read", 200}, {"session, changed", 503},
                        {"limit", 200},         {"idempotent", 503},
                        {"cache", 200},         {"event", 503},
                        {"job", 503},           {"token, checked", 200},
                        {"token, issued", 503}};

// A server with one worker, a user who is logged in, and the user's token.
class Site {
 public:
  explicit Site(const std::string& redis, const std::string& timeout = "60s")
      : server({.workers = 1,
                .redis = redis,
                .arguments = {"--redis-timeout", timeout, "--request-timeout", "120s", "--name", "demo"},
                .environment = {{"PRONGHORN_LOG_LEVEL", "info"}}}),
        browser_(server.address()) {
    REQUIRE(server.wait_redis());
    login();
    token_ = post(server.address(), "/token", "user=Ann", kForm).json().at("access");
    REQUIRE(answers() == kServed);
  }

  void login() { REQUIRE(browser_.post("/login", "user=Ann").status == 200); }
  // One request to each feature. Each takes as long as its commands do; a client waits ten seconds at most, so commands
  // that fail at once are told from those that wait for the timeout of a minute.
  Answers answers() {
    const std::string number = std::to_string(++asked_);
    const Address& address = server.address();
    Answers all;
    all["session, read"] = browser_.get("/me").status;
    all["session, changed"] = browser_.get("/visits").status;
    all["limit"] = get(address, limited).status;
    all["idempotent"] = post(address, "/orders", "{}", {{"Idempotency-Key", "k" + number}}).status;
    all["cache"] = get(address, "/cached/k" + number + "?ms=0").status;
    all["event"] = post(address, "/live/topic", "text").status;
    all["job"] = post(address, "/jobs?ms=0").status;
    all["token, checked"] = get(address, "/private", {{"Authorization", "Bearer " + token_}}).status;
    all["token, issued"] = post(address, "/token", "user=Ann", kForm).status;
    return all;
  }
  bool wait_served() {
    return server.wait_redis() && eventually(30s, [this] { return answers() == kServed; }, 200ms);
  }
  std::size_t lines(const std::string& text) const { return server.log_lines(text).size(); }
  // Waits for the first line. A failure of less than a second may pass without one.
  bool wait_told(const std::string& text, std::size_t count = 1) const {
    return eventually(30s, [&] { return lines(text) == count; });
  }
  std::uint64_t errors() const { return server.status().at("totals").at("redis").at("errors"); }
  std::uint64_t total(const std::string& name) const { return server.status().at("totals").at(name); }

  const ServerProcess server;
  std::string limited = "/limited/concurrent";  // not exhausted by requests one after the other

 private:
  inline static const Headers kForm{{"Content-Type", "application/x-www-form-urlencoded"}};
  Browser browser_;
  std::string token_;
  int asked_ = 0;
};

RedisOptions with_port(std::vector<std::string> arguments = {}) {
  return {.password = {}, .tcp = true, .arguments = std::move(arguments)};
}

}  // namespace

TEST_CASE("outage: connection reset, then refused", "[redis][outage]") {
  RedisProcess redis(with_port());
  Site site(redis.tcp_url());
  REQUIRE(::kill(redis.pid(), SIGSTOP) == 0);
  HttpConnection in_flight(site.server.address());
  REQUIRE(in_flight.send_raw("GET /visits HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  REQUIRE(eventually(10s, [&] { return site.server.worker(0).at("in_flight") == 2; }));
  redis.kill();
  CHECK(in_flight.read_response().status == 503);
  CHECK(site.answers() == kUnavailable);
  CHECK(site.errors() > 0);
  CHECK(site.total("limits_unavailable") > 0);
  CHECK(site.lines("Redis is unreachable") == 1);
  redis.restart();
  REQUIRE(site.server.wait_redis());
  site.login();  // what Redis had is gone
  REQUIRE(site.wait_served());
  CHECK(site.lines("Redis is unreachable") == 1);
  CHECK(site.lines("Redis is reachable again") == 1);
}

TEST_CASE("outage: Redis hangs", "[redis][outage]") {
  RedisProcess redis(with_port());
  Site site(redis.tcp_url(), "300ms");
  REQUIRE(::kill(redis.pid(), SIGSTOP) == 0);
  CHECK(site.answers() == kUnavailable);
  REQUIRE(eventually(20s, [&] { return site.lines("Redis is unreachable") == 1; }));
  CHECK(site.answers() == kUnavailable);
  CHECK(site.errors() > 0);
  CHECK(site.server.status().at("totals").at("redis").at("circuits_open") == 1);
  REQUIRE(::kill(redis.pid(), SIGCONT) == 0);
  REQUIRE(site.wait_served());
  CHECK(site.lines("Redis is unreachable") == 1);
  CHECK(site.lines("Redis is reachable again") == 1);
  CHECK(site.lines("Redis does not answer in time") <= 1);
  CHECK(site.lines("Redis answers in time again") == site.lines("Redis does not answer in time"));
}

TEST_CASE("outage: Redis takes 200 ms for each command", "[redis][outage]") {
  const RedisProcess redis;
  Site site(redis.url());
  std::atomic<bool> over = false;
  std::thread slow([&] {
    while (!over) redis.command({"CLIENT", "PAUSE", "200", "ALL"});
  });
  CHECK(site.answers() == kServed);
  over = true;
  slow.join();
  CHECK(site.errors() == 0);
  CHECK(site.lines("\"warn\"") + site.lines("\"error\"") == 0);
}

TEST_CASE("outage: Redis refuses writes", "[redis][outage]") {
  const RedisRefusal bad_disk{"MISCONF", {"BGSAVE"}, {"CONFIG", "SET", "stop-writes-on-bgsave-error", "no"}};
  const RedisRefusal no_permission{
      "NOPERM", {"ACL", "SETUSER", "default", "-@write"}, {"ACL", "SETUSER", "default", "+@all"}};
  const RedisRefusal refusal =
      GENERATE_COPY(as<RedisRefusal>(), kReplica, kNoMemory, kNoReplicas, bad_disk, no_permission);
  CAPTURE(refusal.code);
  const TempDir gone;
  std::filesystem::create_directory(gone / "d");
  const RedisProcess redis({.password = {}, .tcp = false, .arguments = {"--dir", gone / "d", "--save", "3600 100000"}});
  Site site(redis.url());
  std::filesystem::remove(gone / "d");
  (void)redis.command(refusal.begin);
  if (refusal.code == "MISCONF") {
    REQUIRE(eventually(10s, [&] { return redis.command({"PING"}).starts_with("-MISCONF"); }));
  }
  CHECK(site.answers() == kNoWrites);
  REQUIRE(site.wait_told("Redis refuses writes"));
  CHECK(site.answers() == kNoWrites);
  CHECK(site.errors() > 0);
  (void)redis.command(refusal.end);
  REQUIRE(site.wait_served());
  CHECK(site.lines("Redis refuses writes") == 1);
  CHECK(site.lines("Redis accepts writes again") == 1);
  CHECK(site.lines("unreachable") == 0);
}

TEST_CASE("outage: Redis is loading its data", "[redis][outage]") {
  const RedisProcess redis({.password = {}, .tcp = false, .arguments = {"--enable-debug-command", "yes"}});
  Site site(redis.url());
  redis.command({"DEBUG", "POPULATE", "20000"});
  redis.command({"CONFIG", "SET", "key-load-delay", "1000"});  // µs: twenty seconds for all
  redis.command({"CONFIG", "SET", "loading-process-events-interval-bytes", "1024"});
  std::thread reload([&redis] {
    try {
      redis.command({"DEBUG", "RELOAD"});
    } catch (const std::runtime_error&) {  // it takes longer than an answer may
    }
  });
  REQUIRE(eventually(10s, [&] { return redis.command({"GET", "k"}).starts_with("-LOADING"); }));
  CHECK(site.answers() == kUnavailable);
  CHECK(site.errors() > 0);
  REQUIRE(site.wait_told("Redis refuses writes"));
  redis.command({"CONFIG", "SET", "key-load-delay", "0"});
  reload.join();
  REQUIRE(site.wait_served());
  CHECK(site.lines("Redis refuses writes") == 1);
  CHECK(site.lines("Redis accepts writes again") == 1);
}

TEST_CASE("outage: a script keeps Redis busy", "[redis][outage]") {
  const RedisProcess redis({.password = {}, .tcp = false, .arguments = {"--busy-reply-threshold", "50"}});
  Site site(redis.url());
  std::thread script([&redis] {
    try {
      redis.command({"EVAL", "while true do end", "0"});
    } catch (const std::runtime_error&) {  // it takes longer than an answer may
    }
  });
  REQUIRE(eventually(10s, [&] { return redis.command({"GET", "k"}).starts_with("-BUSY"); }));
  CHECK(site.answers() == kUnavailable);
  CHECK(site.errors() > 0);
  REQUIRE(site.wait_told("Redis refuses writes"));
  redis.command({"SCRIPT", "KILL"});
  script.join();
  REQUIRE(site.wait_served());
  CHECK(site.lines("Redis refuses writes") == 1);
  CHECK(site.lines("Redis accepts writes again") == 1);
}

TEST_CASE("outage: Redis asks for a password that the server does not have", "[redis][outage]") {
  const RedisProcess redis(with_port());
  Site site(redis.tcp_url());
  HttpConnection console(
      Address::parse("http://127.0.0.1:" + std::to_string(redis.port())));  // it takes inline commands
  REQUIRE(console.send_raw("CONFIG SET requirepass secret\r\nAUTH secret\r\nCLIENT KILL TYPE normal\r\n"));
  REQUIRE(eventually(10s, [&] { return site.lines("password") == 1; }));
  CHECK(site.answers() == kUnavailable);
  CHECK(site.errors() > 0);
  REQUIRE(console.send_raw("CONFIG SET requirepass \"\"\r\n"));
  REQUIRE(site.wait_served());
  CHECK(site.lines("password") == 1);
  CHECK(site.lines("Redis is reachable again") == 1);
}

TEST_CASE("outage: Redis accepts no more clients", "[redis][outage]") {
  const RedisProcess redis(with_port());
  Site site(redis.tcp_url());
  HttpConnection console(
      Address::parse("http://127.0.0.1:" + std::to_string(redis.port())));  // it takes inline commands
  REQUIRE(console.send_raw("CONFIG SET maxclients 1\r\nCLIENT KILL TYPE pubsub\r\nCLIENT KILL TYPE normal\r\n"));
  REQUIRE(eventually(10s, [&] { return site.lines("Redis is unreachable") == 1; }));
  CHECK(site.answers() == kUnavailable);
  CHECK(site.errors() > 0);
  REQUIRE(console.send_raw("CONFIG SET maxclients 100\r\n"));
  REQUIRE(site.wait_served());
  CHECK(site.lines("Redis is unreachable") == 1);
  CHECK(site.lines("Redis is reachable again") == 1);
}

TEST_CASE("outage: a Redis Cluster that is down", "[redis][outage][cluster]") {
  RedisCluster cluster({.primaries = 2, .replicas = 0, .node_timeout = 15s, .arguments = {}});
  Site site(cluster.url());
  // A slot that nobody serves; all slots must be served by default.
  cluster.command_all({"CLUSTER", "DELSLOTS", "16383"});
  REQUIRE(eventually(10s, [&] {
    return cluster.node(0).command({"GET", "b"}).starts_with("-CLUSTERDOWN") &&
           cluster.node(1).command({"GET", "a"}).starts_with("-CLUSTERDOWN");
  }));
  REQUIRE(eventually(10s, [&] { return site.answers() == kUnavailable; }, 200ms));
  CHECK(site.errors() > 0);
  REQUIRE(site.wait_told("Redis refuses writes", 2));  // one for each node
  CHECK(site.answers() == kUnavailable);
  cluster.node(1).command({"CLUSTER", "ADDSLOTS", "16383"});
  REQUIRE(site.wait_served());
  CHECK(site.lines("Redis refuses writes") == 2);
  CHECK(site.lines("Redis accepts writes again") == 2);
}

TEST_CASE("outage: keys hold data of another type", "[redis][outage]") {
  const RedisProcess redis;
  Site site(redis.url());
  site.limited = "/limited";
  REQUIRE(site.answers() == kServed);
  const auto spoil = [&redis](const std::string& pattern, const std::vector<std::string>& command) {
    const std::string keys = redis.command({"KEYS", pattern});
    REQUIRE_FALSE(keys.empty());
    for (std::size_t begin = 0; begin < keys.size();) {
      const std::size_t end = std::min(keys.find('\n', begin), keys.size());
      const std::string key = keys.substr(begin, end - begin);
      begin = end + 1;
      redis.command({"DEL", key});
      std::vector<std::string> words{command.front(), key};
      words.insert(words.end(), command.begin() + 1, command.end());
      redis.command(words);
    }
  };
  spoil("demo:s:*", {"SET", "text"});
  spoil("demo:l:*", {"LPUSH", "text"});
  spoil("demo:e:{*}", {"SET", "text"});
  redis.command({"SET", "demo:j:{demo:demo}:wait", "text"});
  redis.command({"HSET", "demo:c:{k4}", "a", "b"});
  for (const char* key : {"k3", "k4"}) {  // of the next two requests
    redis.command({"LPUSH", std::string("demo:i:POST/orders:-:") + key, "text"});
  }
  Answers expected = kServed;
  expected["session, read"] = expected["session, changed"] = 500;
  expected["event"] = expected["job"] = expected["idempotent"] = 500;
  CHECK(site.answers() == expected);
  REQUIRE(site.wait_told("Redis refuses the jobs"));
  CHECK(site.answers() == expected);
  CHECK(site.errors() > 0);
  CHECK(site.lines("Redis refuses the jobs") == 1);
  CHECK(site.lines("Redis cannot count rate limits") == 1);
  CHECK(site.lines("refuses writes") + site.lines("unreachable") == 0);
  redis.command({"FLUSHALL"});
  REQUIRE(eventually(30s, [&] { return get(site.server.address(), "/visits").status == 200; }));
  site.login();
  CHECK(site.answers() == kServed);
}

TEST_CASE("outage: the scripts of Redis are flushed", "[redis][outage]") {
  const RedisProcess redis;
  Site site(redis.url());
  redis.command({"SCRIPT", "FLUSH"});
  CHECK(site.answers() == kServed);
  CHECK(site.errors() == 0);
  CHECK(site.lines("\"warn\"") + site.lines("\"error\"") == 0);
}

TEST_CASE("outage: a failover", "[redis][outage][sentinel][load]") {
  RedisSentinels sentinels;
  Site site(sentinels.url(), "2s");
  sentinels.server(0).kill();
  CHECK(eventually(20s, [&] { return site.answers() == kUnavailable; }));
  REQUIRE(eventually(60s, [&] { return sentinels.primary() != 0; }));
  REQUIRE(site.wait_served());
  CHECK(site.errors() > 0);
  CHECK(site.lines("sentinels name another primary") == 1);
  CHECK(site.lines("Redis is unreachable") == 1);
  CHECK(site.lines("Redis is reachable again") == 1);
}
