// Redis goes down and recovers: routes that need it answer 503, everything else is served.
#include <signal.h>

#include <filesystem>
#include <vector>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

void check_served_without_redis(const ServerProcess& server) {
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(get(server.address(), "/health").status == 200);
  CHECK(get(server.address(), "/ready").status == 503);
  const HttpResponse visits = get(server.address(), "/visits");
  CHECK(visits.status == 503);
  CHECK(std::stoi(visits.header("Retry-After")) >= 1);
  CHECK(get(server.address(), "/limited").status == 200);
}

}  // namespace

TEST_CASE("while Redis is down sessions get 503, limits allow and other routes are served, until it is back",
          "[redis]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  const ServerProcess server({.workers = 2, .redis = redis.tcp_url()});
  REQUIRE(server.wait_ready_status(200));
  CHECK(get(server.address(), "/visits").status == 200);
  const auto workers = server.worker_pids();

  redis.kill();
  REQUIRE(server.wait_ready_status(503));
  REQUIRE(eventually(5s, [&] { return get(server.address(), "/visits").status == 503; }));
  for (int i = 0; i < 6; ++i) check_served_without_redis(server);  // whichever worker answers
  CHECK(server.status().at("redis").at("state") != "up");
  CHECK(server.status().at("totals").at("limits_unavailable").get<int>() >= 6);

  redis.restart();
  REQUIRE(server.wait_redis());
  for (int i = 0; i < 6; ++i) CHECK(get(server.address(), "/visits").status == 200);
  CHECK(get(server.address(), "/ready").status == 200);
  CHECK(server.worker_pids() == workers);  // no worker was replaced
}

TEST_CASE("a request whose Redis stops answering gets 503 after its deadline", "[redis]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url(), .arguments = {"--redis-timeout", "300ms"}});
  REQUIRE(server.wait_ready_status(200));
  REQUIRE(::kill(redis.pid(), SIGSTOP) == 0);
  CHECK(get(server.address(), "/visits").status == 503);
  CHECK(get(server.address(), "/limited").status == 200);
  CHECK(get(server.address(), "/hello").status == 200);
  REQUIRE(::kill(redis.pid(), SIGCONT) == 0);
  CHECK(eventually(10s, [&] { return get(server.address(), "/visits").status == 200; }));
}

TEST_CASE("an outage of Redis does not fill the log", "[redis]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  const ServerProcess server(
      {.workers = 1, .redis = redis.tcp_url(), .environment = {{"PRONGHORN_LOG_LEVEL", "info"}}});
  REQUIRE(server.wait_ready_status(200));
  redis.kill();
  REQUIRE(server.wait_ready_status(503));
  const std::size_t before = server.log_lines("").size();
  for (int i = 0; i < 100; ++i) (void)get(server.address(), "/visits");
  CHECK(server.log_lines("").size() - before < 20);
}

TEST_CASE("a Redis that is unreachable at start does not keep the server from starting", "[redis]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  redis.kill();
  const ServerProcess server({.workers = 2, .redis = redis.tcp_url()});
  check_served_without_redis(server);
  const std::string where = "127.0.0.1:" + std::to_string(redis.port());
  CHECK(eventually(5s, [&] { return !server.log_lines(where).empty(); }));

  redis.restart();
  CHECK(server.wait_ready_status(200, 15s));
  CHECK(eventually(5s, [&] { return get(server.address(), "/visits").status == 200; }));
}

TEST_CASE("a Redis that rejects the password of a running server is tried again", "[redis]") {
  RedisProcess redis({.password = "open-sesame", .tcp = true, .arguments = {}});
  redis.kill();
  const ServerProcess server({.workers = 1, .redis = "redis://127.0.0.1:" + std::to_string(redis.port())});
  REQUIRE(server.wait_ready_status(503));
  redis.restart();
  REQUIRE(eventually(15s, [&] { return server.log_has("password"); }));
  CHECK(get(server.address(), "/visits").status == 503);
  CHECK(redis.command({"CONFIG", "SET", "requirepass", ""}) == "OK");
  CHECK(eventually(15s, [&] { return get(server.address(), "/visits").status == 200; }));
}

TEST_CASE("workers that are all replaced after the password of Redis has changed serve without it", "[redis]") {
  const RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  const ServerProcess server({.workers = 2, .redis = redis.tcp_url()});
  REQUIRE(server.wait_ready_status(200));
  HttpConnection console(
      Address::parse("http://127.0.0.1:" + std::to_string(redis.port())));  // it takes inline commands
  REQUIRE(console.send_raw("CONFIG SET requirepass open-sesame\r\nAUTH open-sesame\r\n"));
  REQUIRE(eventually(5s, [&] { return redis.command({"PING"}).find("NOAUTH") != std::string::npos; }));
  const std::vector<pid_t> workers{server.worker(0).at("pid").get<pid_t>(), server.worker(1).at("pid").get<pid_t>()};
  server.signal(SIGSTOP);  // so that none is replaced while another one is connected
  for (const pid_t worker : workers) REQUIRE(::kill(worker, SIGKILL) == 0);
  for (const pid_t worker : workers) REQUIRE(eventually(5s, [&] { return process_state(worker) == 'Z'; }));
  server.signal(SIGCONT);
  CHECK(eventually(15s,
                   [&] { return server.worker(0).at("state") == "ready" && server.worker(1).at("state") == "ready"; }));
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(get(server.address(), "/visits").status == 503);
  CHECK(server.log_has("requires a password"));
  REQUIRE(console.send_raw("CONFIG SET requirepass \"\"\r\n"));
  CHECK(eventually(15s, [&] { return get(server.address(), "/visits").status == 200; }));
}

TEST_CASE("a password for Redis is used and never shown", "[redis]") {
  const RedisProcess redis({.password = "open-sesame", .tcp = true, .arguments = {}});
  const ServerProcess server({.workers = 1, .redis = redis.tcp_url()});
  REQUIRE(server.wait_ready_status(200));
  CHECK(get(server.address(), "/visits").status == 200);
  CHECK_FALSE(server.log_has("open-sesame"));
  CHECK(server.status().dump().find("open-sesame") == std::string::npos);
}

TEST_CASE("a database number of the URL is honoured", "[redis]") {
  const RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  const ServerProcess server({.workers = 1, .redis = redis.tcp_url() + "/3"});
  REQUIRE(server.wait_ready_status(200));
  CHECK(get(server.address(), "/visits").status == 200);
  CHECK(redis.command({"DBSIZE"}) == "0");
  CHECK(redis.command({"INFO", "keyspace"}).find("db3:keys=") != std::string::npos);
}

TEST_CASE("a wrong password for Redis ends the start with status 3 and is not shown", "[redis][start]") {
  const RedisProcess redis({.password = "open-sesame", .tcp = true, .arguments = {}});
  const TempDir directory;
  const ProgramResult result =
      run_program({program_path(), "serve", app_path("demo"), "--listen", "127.0.0.1:0", "--workers", "2", "--redis",
                   "redis://:open-barley@127.0.0.1:" + std::to_string(redis.port()), "--runtime-dir", directory / "run",
                   "--data-dir", directory / "data"});
  INFO(result.all());
  CHECK_FALSE(result.timed_out);
  CHECK(result.status == 3);
  CHECK(result.all().find("password") != std::string::npos);
  CHECK(result.all().find("open-barley") == std::string::npos);
  CHECK(eventually(10s, [&] { return processes_of(directory.path()).empty(); }));
}

// After a failover most reads failed as well, the log was flooded and /ready went back and forth.
TEST_CASE("a Redis that refuses writes serves reads, and is logged once when it begins and once when it ends",
          "[redis]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url(), .environment = {{"PRONGHORN_LOG_LEVEL", "info"}}});
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  REQUIRE(browser.post("/login", "user=Ann").status == 200);
  REQUIRE(redis.command({"REPLICAOF", "127.0.0.1", "1"}) == "OK");
  // Each worker finds out with its first write.
  REQUIRE(eventually(10s, [&] {
    (void)browser.get("/visits");
    return server.log_lines("Redis refuses writes").size() == 2;
  }));
  for (int i = 0; i < 50; ++i) {
    CHECK(browser.get("/me").status == 200);
    CHECK(browser.get("/visits").status == 503);
    CHECK(browser.get("/limited").status == 200);
    CHECK(get(server.address(), "/ready").status == 503);
  }
  REQUIRE(redis.command({"REPLICAOF", "NO", "ONE"}) == "OK");
  REQUIRE(server.wait_redis());
  CHECK(browser.get("/visits").status == 200);
  CHECK(server.log_lines("Redis refuses writes").size() == 2);
  CHECK(server.log_lines("Redis accepts writes again").size() == 2);
  CHECK(server.log_lines("unreachable").empty());
}

TEST_CASE("two applications with the same default name on one Redis get a warning", "[redis][start]") {
  const RedisProcess redis;
  const TempDir folder;
  std::filesystem::copy_file(app_path("hello"), folder / "hello.so");
  const ServerProcess one({.app = app_path("hello"), .workers = 1, .redis = redis.url()});
  CHECK_FALSE(one.log_has("default name"));
  {
    const ServerProcess named(
        {.app = folder / "hello.so", .workers = 1, .redis = redis.url(), .arguments = {"--name", "hello"}});
    CHECK_FALSE(named.log_has("default name"));
  }
  const ServerProcess other({.app = folder / "hello.so", .workers = 2, .redis = redis.url()});
  CHECK(other.log_lines("same default name").size() == 1);
  CHECK(other.log_has(app_path("hello")));
}

TEST_CASE("a Redis Cluster ends the start with status 3 and one line", "[redis][start]") {
  const RedisProcess redis({.password = {},
                            .tcp = true,
                            .arguments = {"--cluster-enabled", "yes", "--cluster-port", std::to_string(free_port())}});
  const TempDir directory;
  const ProgramResult result =
      run_program({program_path(), "serve", app_path("hello"), "--listen", "127.0.0.1:0", "--workers", "2", "--redis",
                   redis.tcp_url(), "--runtime-dir", directory / "run", "--data-dir", directory / "data"});
  INFO(result.all());
  CHECK(result.status == 3);
  CHECK(result.all().find("is a Redis Cluster: use redis+cluster://") != std::string::npos);
}
