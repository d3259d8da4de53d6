// Requests that kill their worker are refused after the second time: by every worker, on every machine, for a while.
#include <signal.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

ServerOptions options(std::vector<std::string> arguments = {}, const std::string& redis = "none", int workers = 2) {
  arguments.insert(arguments.end(), {"--name", "shop"});
  return {.workers = workers, .redis = redis, .arguments = std::move(arguments), .environment = kPlainSignals};
}

// POST /crash, which kills one worker; returns when the supervisor has replaced it, and the same request is not taken
// for a retry of the client any more.
void kill_by_request(const ServerProcess& server, const std::string& how = "segv") {
  const int restarts = server.status().at("totals").at("restarts");
  HttpConnection connection(server.address(), 15s);
  CHECK(connection.request("POST", "/crash?how=" + how).status == (how == "exit" ? 503 : 500));
  REQUIRE(eventually(15s, [&] { return server.status().at("totals").at("restarts") == restarts + 1; }));
  const auto killed = std::chrono::steady_clock::now();
  const int workers = static_cast<int>(server.status().at("server").at("slots"));
  REQUIRE(server.wait_ready(workers));
  REQUIRE(eventually(5s, [&] { return std::chrono::steady_clock::now() - killed > 60ms; }));
}

// Workers that get connections in turn.
ServerOptions kills_in_turn(int workers) {
  return {.app = app_path("apps/kills"),
          .workers = workers,
          .arguments = {"--balance", "round-robin"},
          .environment = kPlainSignals};
}

HttpConnection connection_to_slot(const ServerProcess& server, const std::string& slot) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    HttpConnection connection(server.address(), 15s);
    if (connection.get("/slot").body == slot) return connection;
  }
  throw std::runtime_error("no connection to slot " + slot);
}

nlohmann::json quarantine(const ServerProcess& server) { return server.status().at("quarantine"); }

bool wait_quarantined(const ServerProcess& server, std::size_t entries = 1) {
  return eventually(20s, [&] { return quarantine(server).size() == entries; });
}

int crash_status(const ServerProcess& server) { return post(server.address(), "/crash?how=segv").status; }

void check_refused(const ServerProcess& server) {
  const auto pids = server.worker_pids();
  for (int i = 0; i < 20; ++i) {
    const HttpResponse response = post(server.address(), "/crash?how=segv");
    REQUIRE(response.status == 503);
    CHECK(response.header("Content-Type") == "application/problem+json");
    CHECK(response.body.find("worker") == std::string::npos);
    CHECK(std::stoi(response.header("Retry-After")) > 0);
  }
  CHECK(server.worker_pids() == pids);
  CHECK(get(server.address(), "/hello").status == 200);
}

}  // namespace

TEST_CASE("a request that has killed two workers is refused by all, others are served", "[quarantine]") {
  const ServerProcess server(options());
  kill_by_request(server);
  CHECK(quarantine(server).empty());
  kill_by_request(server);
  REQUIRE(wait_quarantined(server));
  check_refused(server);
  const auto entry = quarantine(server).at(0);
  INFO(entry.dump());
  CHECK(entry.at("method") == "POST");
  CHECK(entry.at("route") == "/crash");
  CHECK(entry.at("shape") == "/crash");
  CHECK(entry.at("kills") == 2);
  CHECK(entry.at("refused") == 20);
  CHECK(entry.at("shared") == false);
  CHECK(server.status().at("totals").at("quarantined") == 20);
  CHECK(get(server.address(), "/metrics").body.find("pronghorn_quarantine_entries 1\n") != std::string::npos);
  CHECK(server.log_has("POST /crash (route /crash) is quarantined for 600 s"));
}

TEST_CASE("a client that varies the path is refused by the route", "[quarantine]") {
  const ServerProcess server({.app = app_path("apps/kills"), .workers = 3, .environment = kPlainSignals});
  for (const char* word : {"apple", "pear", "plum"}) {
    HttpConnection connection(server.address(), 15s);
    CHECK(connection.get(std::string("/kill/") + word).status == 500);
  }
  REQUIRE(wait_quarantined(server));
  const auto entry = quarantine(server).at(0);
  CHECK(entry.at("route") == "/kill/{word}");
  CHECK(entry.at("shape") == "*");
  REQUIRE(server.wait_ready(3));
  for (const char* word : {"cherry", "apple"}) {
    CHECK(get(server.address(), std::string("/kill/") + word).status == 503);
  }
  CHECK(get(server.address(), "/").status == 200);
}

TEST_CASE("requests that kill all workers at once are counted, each of them", "[quarantine]") {
  const ServerProcess server(kills_in_turn(3));
  std::vector<HttpConnection> connections;
  for (int i = 0; i < 3; ++i) connections.emplace_back(server.address(), 15s);
  for (HttpConnection& connection : connections) CHECK(connection.get("/").status == 200);
  int kills = 0;
  for (HttpConnection& connection : connections) {
    connection.send_raw("GET /kill/" + std::to_string(++kills) + " HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  CHECK(wait_quarantined(server));
}

// The kill was lost with the worker that had been asked to identify it.
TEST_CASE("a kill counts although the worker that is asked about it is killed as well", "[quarantine]") {
  const ServerProcess server(kills_in_turn(2));
  const auto pids = server.worker_pids();
  HttpConnection guilty = connection_to_slot(server, "1");
  REQUIRE(::kill(pids.at(0), SIGSTOP) == 0);  // the one that will be asked does not answer
  guilty.send_raw("GET /kill/apple HTTP/1.1\r\nHost: a\r\n\r\n");
  // Over the control socket, as an HTTP request might wait for the stopped worker.
  const auto workers = [&server] {
    return nlohmann::json::parse(server.control_command({"status", "--json"}).out).at("workers");
  };
  REQUIRE(eventually(20s, [&] {
    const auto second = workers().at(1);
    return second.at("state") == "ready" && second.at("pid") != pids.at(1);
  }));
  REQUIRE(::kill(pids.at(0), SIGKILL) == 0);
  REQUIRE(eventually(20s, [&] {
    const auto first = workers().at(0);
    return first.at("state") == "ready" && first.at("pid") != pids.at(0);
  }));
  CHECK(quarantine(server).empty());
  // Workers may be back in less than the 50 ms within which a second kill counts as the same click.
  CHECK(eventually(20s, [&server] {
    static_cast<void>(get(server.address(), "/kill/apple"));
    return !quarantine(server).empty();
  }));
}

TEST_CASE("the only worker of a server is protected as well", "[quarantine]") {
  const ServerProcess server(options({}, "none", 1));
  kill_by_request(server, "abort");
  kill_by_request(server, "exit");
  REQUIRE(wait_quarantined(server));
  check_refused(server);
}

TEST_CASE("a request that hangs until the watchdog kills its worker is quarantined", "[quarantine]") {
  const ServerProcess server(options({"--worker-timeout", "300ms"}));
  kill_by_request(server, "hang");
  kill_by_request(server, "hang");
  REQUIRE(wait_quarantined(server));
  check_refused(server);
}

TEST_CASE("every server with the same Redis refuses what killed workers of one", "[quarantine][redis]") {
  const RedisProcess redis;
  const ServerProcess first(options({}, redis.url()));
  const ServerProcess second(options({}, redis.url()));
  REQUIRE(first.wait_redis());
  REQUIRE(second.wait_redis());
  kill_by_request(first);
  kill_by_request(second);  // one kill each: only Redis has seen two
  REQUIRE(wait_quarantined(first));
  REQUIRE(wait_quarantined(second));
  check_refused(first);
  check_refused(second);
  CHECK(quarantine(first).at(0).at("shared") == true);

  SECTION("a release is for all of them") {
    const auto id = quarantine(second).at(0).at("id").get<std::string>();
    const ProgramResult result = second.control_command({"quarantine", "release", id});
    INFO(result.all());
    CHECK(result.status == 0);
    CHECK(quarantine(second).empty());
    CHECK(wait_quarantined(first, 0));
    CHECK(redis.command({"EXISTS", "{shop:q}"}) == "0");
    CHECK(first.log_has("was released"));
    kill_by_request(first);  // it is handled again
    CHECK(quarantine(first).empty());
  }
  SECTION("a server that starts later knows it before its first request") {
    const ServerProcess third(options({}, redis.url()));
    REQUIRE(wait_quarantined(third));
    CHECK(crash_status(third) == 503);
  }
}

TEST_CASE("entries made while Redis is down are shared when it is back", "[quarantine][redis]") {
  RedisProcess redis;
  const ServerProcess first(options({"--redis-timeout", "300ms"}, redis.url()));
  const ServerProcess second(options({"--redis-timeout", "300ms"}, redis.url()));
  REQUIRE(first.wait_redis());
  REQUIRE(second.wait_redis());
  redis.kill();
  kill_by_request(first);
  kill_by_request(first);
  REQUIRE(wait_quarantined(first));
  check_refused(first);
  CHECK(quarantine(second).empty());
  redis.restart();
  CHECK(eventually(15s, [&] { return quarantine(second).size() == 1; }));
  CHECK(crash_status(second) == 503);
}

TEST_CASE("a quarantine entry expires after quarantine_time", "[quarantine][redis]") {
  const RedisProcess redis;
  const ServerProcess server(options({"--quarantine-time", "2s"}, redis.url()));
  REQUIRE(server.wait_redis());
  kill_by_request(server);
  kill_by_request(server);
  REQUIRE(eventually(5s, [&] { return server.log_has("is quarantined for 2 s"); }));
  CHECK(wait_quarantined(server, 0));
  CHECK(eventually(5s, [&] { return server.log_has("has expired"); }));
  kill_by_request(server);
}

TEST_CASE("with quarantine_time 0 nothing is refused", "[quarantine]") {
  const ServerProcess server(options({"--quarantine-time", "0"}));
  for (int i = 0; i < 3; ++i) kill_by_request(server);
  CHECK(quarantine(server).empty());
}

TEST_CASE("an operator's kill -9 while requests run quarantines nothing", "[quarantine]") {
  const ServerProcess server(options({}, "none", 1));
  for (int i = 0; i < 3; ++i) {
    const pid_t victim = server.worker_pids().at(0);
    HttpConnection blocked(server.address());
    HttpConnection waiting(server.address());
    waiting.send_raw("GET /slow?ms=5000 HTTP/1.1\r\nHost: a\r\n\r\n");
    blocked.send_raw("GET /block?ms=5000 HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE_FALSE(blocked.readable_within(200ms));
    REQUIRE(::kill(victim, SIGKILL) == 0);
    REQUIRE(eventually(10s, [&] { return server.worker_pids() != std::vector{victim} && server.wait_ready(1, 0ms); }));
  }
  CHECK(server.log_has("while executing GET /block"));  // so one could have been blamed
  CHECK(quarantine(server).empty());
  CHECK(get(server.address(), "/slow?ms=1").status == 200);
}

TEST_CASE("pronghorn quarantine lists and releases", "[quarantine][commands]") {
  const ServerProcess server(options());
  CHECK(server.control_command({"quarantine"}).out == "no requests are quarantined\n");
  kill_by_request(server);
  kill_by_request(server);
  REQUIRE(wait_quarantined(server));
  const auto id = quarantine(server).at(0).at("id").get<std::string>();
  const ProgramResult list = server.control_command({"quarantine"});
  INFO(list.all());
  CHECK(list.out.find(id) != std::string::npos);
  CHECK(list.out.find("/crash") != std::string::npos);
  CHECK(list.out.find("this machine") != std::string::npos);

  const ProgramResult unknown = server.control_command({"quarantine", "release", "0123456789abcdef"});
  CHECK(unknown.status == 1);
  CHECK(unknown.err.find("nothing is quarantined as 0123456789abcdef") != std::string::npos);
  CHECK(server.control_command({"quarantine", "release", "x"}).status == 2);
  CHECK(server.control_command({"quarantine", "release"}).status == 2);
  CHECK(server.control_command({"quarantine", "free", id}).status == 2);
  CHECK(crash_status(server) == 503);

  const ProgramResult released = server.control_command({"quarantine", "release", "all"});
  CHECK(released.status == 0);
  CHECK(released.out == "1 released\n");
  CHECK(quarantine(server).empty());
  kill_by_request(server);
}
