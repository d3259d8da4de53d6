#include "common/ipc/status/status.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "common/version.h"
#include "support/catch.h"
#include "unit/common/ipc/board_fixture.h"

using namespace pronghorn;
using nlohmann::json;

namespace {

void check_latency(const json& latency) {
  for (const char* name : {"p50", "p90", "p99", "max"}) CHECK(latency.at(name).is_number());
}

}  // namespace

TEST_CASE("the status has every field of the contract") {
  const json status = status_json(make_board());
  for (const char* name : {"pid", "uptime_s", "generation"}) CHECK(status.at("server").at(name).is_number());
  CHECK(status["server"]["name"] == "pronghorn");
  CHECK(status["server"]["version"] == kVersion);
  CHECK(status["server"]["listen"] == json({"127.0.0.1:8080", "unix:/tmp/a folder/p.sock"}));
  for (const char* name :
       {"requests", "in_flight", "connections", "restarts", "bytes_in", "bytes_out", "requests_per_s"}) {
    CHECK(status.at("totals").at(name).is_number());
  }
  for (const char* name : {"1xx", "2xx", "3xx", "4xx", "5xx"})
    CHECK(status["totals"]["responses"].at(name).is_number());
  check_latency(status["totals"].at("latency_ms"));
  REQUIRE(status.at("workers").size() == 2);
  for (const json& worker : status["workers"]) {
    for (const char* name :
         {"slot", "pid", "generation", "uptime_s", "restarts", "requests", "requests_per_s", "in_flight", "connections",
          "rss_bytes", "cpu_percent", "loop_utilisation", "loop_lag_ms"}) {
      CHECK(worker.at(name).is_number());
    }
    CHECK(worker.at("state").is_string());
    check_latency(worker.at("latency_ms"));
    for (const char* name : {"commands", "errors", "latency_ms"}) CHECK(worker.at("redis").at(name).is_number());
    CHECK(worker["redis"].at("state").is_string());
    CHECK((worker.at("last_exit").is_null() || worker["last_exit"].is_object()));
  }
  for (const json& route : status.at("routes")) {
    CHECK(route.at("route").is_string());
    CHECK(route.at("requests").is_number());
    CHECK(route.at("errors").is_number());
    check_latency(route.at("latency_ms"));
  }
  CHECK(status.at("redis").at("mode") == "embedded");
  CHECK(status["redis"].at("state") == "up");
}

TEST_CASE("routes of WebSockets tell of them, others do not") {
  Scoreboard board = make_board();
  set_sockets(board.worker(0, 0).routes[0].sockets, 10);
  board.worker(0, 0)[Count::sockets] = 10;
  const json status = status_json(board);
  const json& routes = status["routes"];
  REQUIRE(routes.size() == 2);
  CHECK_FALSE(routes[0].contains("websockets"));
  CHECK(routes[1]["route"] == "GET /hello");
  CHECK(routes[1]["websockets"] == json{{"open", 10},
                                        {"queued_bytes", 20},
                                        {"messages_received", 30},
                                        {"messages_sent", 40},
                                        {"bytes_received", 50},
                                        {"bytes_sent", 60},
                                        {"skipped", 70}});
  CHECK(status["totals"]["websockets"]["open"] == 10);
}

TEST_CASE("totals are the sum of all slots") {
  const json totals = status_json(make_board())["totals"];
  CHECK(totals["requests"] == 37);
  CHECK(totals["responses"]["2xx"] == 34);
  CHECK(totals["responses"]["5xx"] == 3);
  CHECK(totals["connections"] == 10);
  CHECK(totals["in_flight"] == 4);
  CHECK(totals["restarts"] == 3);
  CHECK(totals["bytes_in"] == 3000);
  CHECK(totals["requests_per_s"] == 123.45);
}

TEST_CASE("a worker's figures have the units that their names say") {
  const json worker = status_json(make_board())["workers"][0];
  CHECK(worker["state"] == "ready");
  CHECK(worker["pid"] == 4001);
  CHECK(worker["uptime_s"].get<double>() >= 10.0);
  CHECK(worker["uptime_s"].get<double>() < 60.0);
  CHECK(worker["cpu_percent"] == 12.5);
  CHECK(worker["rss_bytes"] == 50'000'000);
  CHECK(worker["loop_utilisation"] == 0.25);
  CHECK(worker["loop_lag_ms"] == 1.5);
  CHECK(worker["redis"]["latency_ms"] == 0.25);
  CHECK(worker["latency_ms"]["max"] == 3.0);
  CHECK(worker["latency_ms"]["p50"].get<double>() >= 1.0);
  CHECK(worker["last_exit"].is_null());
}

TEST_CASE("during a rollout a slot shows both of its processes") {
  const json rows = status_json(make_board())["workers"][0]["rows"];
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["pid"] == 4001);
  CHECK(rows[0]["phase"] == "ready");
  CHECK(rows[0]["running"].is_null());
  CHECK(rows[1]["phase"] == "draining");
}

TEST_CASE("the request that a worker is stuck in is shown") {
  Scoreboard board = make_board();
  RunningRequest& running = board.worker(0, 0).running;
  std::string_view("GET /block").copy(running.line, sizeof running.line);
  running.started_ns = (monotonic_ms() - 2000) * 1'000'000;
  running.active = 1;
  const json shown = status_json(board)["workers"][0]["rows"][0]["running"];
  CHECK(shown["method"] == "GET");
  CHECK(shown["path"] == "/block");
  CHECK(shown["for_ms"].get<int>() >= 2000);
}

TEST_CASE("a worker reports what is running on its loop, since when, and whether it is stuck") {
  Scoreboard board = make_board();
  CHECK(status_json(board)["workers"][0]["running"].is_null());
  CHECK(status_json(board)["workers"][0]["stuck_s"] == 0.0);
  WorkerRow& row = board.worker(0, 0);
  row.stamp_ms = monotonic_ms() - 3'000;
  json worker = status_json(board)["workers"][0];
  CHECK(worker["stuck_s"].get<double>() >= 3);
  CHECK(worker["running"]["what"] == "no request");
  std::string_view("GET /block").copy(row.running.line, sizeof row.running.line);
  row.running.started_ns = (monotonic_ms() - 3'000) * 1'000'000;
  row.running.active = 1;
  worker = status_json(board)["workers"][0];
  CHECK(worker["running"]["what"] == "GET /block");
  CHECK(worker["running"]["since"].get<std::string>().ends_with("Z"));
  CHECK(worker["running"]["for_ms"].get<int>() >= 3'000);
}

TEST_CASE("the status tells where Redis is, since when and why it is not up") {
  Scoreboard board = make_board();
  CHECK(status_json(board)["redis"]["error"].is_null());
  board.server().redis_address.set("redis://user:***@db:6379/0");
  board.worker(0, 0).redis_state = RedisState::down;
  board.worker(0, 0).redis_since_at = 1;
  board.worker(0, 0).redis_error.set("connection refused");
  const json redis = status_json(board)["redis"];
  CHECK(redis["state"] == "down");
  CHECK(redis["address"] == "redis://user:***@db:6379/0");
  CHECK(redis["error"] == "connection refused");
  CHECK(redis["since"].get<std::string>().ends_with("Z"));
}

TEST_CASE("the status tells how the last rollout ended") {
  Scoreboard board = make_board();
  CHECK(status_json(board)["rollout"].is_null());
  RolloutRow& rollout = board.server().rollout;
  rollout.generation = 3;
  rollout.message.set("the application does not load");
  rollout.at = 1795322796;
  CHECK(status_json(board)["rollout"] == json{{"at", "2026-11-22T04:46:36Z"},
                                              {"result", "failed"},
                                              {"generation", 3},
                                              {"message", "the application does not load"}});
}

TEST_CASE("the history has the samples of the requested time, the oldest first") {
  Scoreboard board = make_board();
  CHECK_FALSE(status_json(board).contains("history"));
  const auto now = static_cast<std::uint64_t>(std::time(nullptr));
  HistoryRing& ring = board.history();
  ring.next = 1;  // the ring is full: index 0 is the newest
  ring.samples[0].at = now;
  ring.samples[0].p99_us = 2'500;
  ring.samples[1].at = now - 3'590;
  ring.samples[2].at = now - 60;
  ring.samples[2].requests = 7;
  json history = status_json(board, 3600)["history"];
  CHECK(history["interval_s"] == 10.0);
  REQUIRE(history["samples"].size() == 3);
  CHECK(history["samples"][0]["at"] == now - 3'590);
  CHECK(history["samples"][1]["requests"] == 7);
  CHECK(history["samples"][2]["p99_ms"] == 2.5);
  history = status_json(board, 120)["history"];
  CHECK(history["samples"].size() == 2);
}

TEST_CASE("a slot whose worker is dead tells how it ended and uses nothing") {
  const json worker = status_json(make_board())["workers"][1];
  CHECK(worker["state"] == "backoff");
  CHECK(worker["pid"] == 0);
  CHECK(worker["uptime_s"] == 0.0);
  CHECK(worker["rss_bytes"] == 0);
  CHECK(worker["connections"] == 0);
  CHECK(worker["requests"] == 7);
  CHECK(worker["restarts"] == 3);
  CHECK(worker["rows"].empty());
  CHECK(worker["last_exit"] == json{{"reason", "signal 11 (SIGSEGV)"},
                                    {"request", "POST /crash id=abc"},
                                    {"report", ""},
                                    {"connections", ""},
                                    {"at", "2026-11-22T04:46:36Z"}});
}

TEST_CASE("text of a crashed worker that is not UTF-8 does not spoil the status") {
  Scoreboard board = make_board();
  board.slot(1).last_exit_request.set("GET /\xff\xfe\"\n");
  const json status = json::parse(status_json_text(board));
  CHECK(status["workers"][1]["last_exit"]["request"] == "GET /\uFFFD\uFFFD\"\n");
}

TEST_CASE("an empty scoreboard has a status") {
  const json status = json::parse(status_json_text(Scoreboard::create()));
  CHECK(status["workers"].empty());
  CHECK(status["totals"]["requests"] == 0);
  CHECK(status["redis"]["state"] == "off");
}

TEST_CASE("the status lists what is quarantined", "[quarantine]") {
  Scoreboard board = make_board();
  CHECK(status_json(board).at("quarantine") == json::array());
  QuarantineRow& row = board.quarantine().rows[7];
  row.request.set("0123456789abcdef GET /users/{id} /users/N");
  row.since_at = 1795322796;
  row.kills = 2;
  row.refused = 5;
  row.until_ms = monotonic_ms() + 60'000;
  board.quarantine().rows[8].until_ms = 1;  // has ended
  board.quarantine().count = 2;
  const json entries = status_json(board)["quarantine"];
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].at("id") == "0123456789abcdef");
  CHECK(entries[0].at("method") == "GET");
  CHECK(entries[0].at("route") == "/users/{id}");
  CHECK(entries[0].at("shape") == "/users/N");
  CHECK(entries[0].at("since").get<std::string>().starts_with("2026-11-22T"));
  CHECK(entries[0].at("until").is_string());
  CHECK(entries[0].at("kills") == 2);
  CHECK(entries[0].at("refused") == 5);
  CHECK(entries[0].at("shared") == false);
}
