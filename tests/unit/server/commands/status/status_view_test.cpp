#include "server/commands/status/status_view.h"

#include "support/catch.h"

using nlohmann::json;
using pronghorn::server::status_table;

namespace {

json example() {
  return json::parse(R"JSON({
    "server": {"name": "pronghorn", "version": "0.1.0", "pid": 42, "uptime_s": 3725, "generation": 2, "listen": ["127.0.0.1:8080"]},
    "totals": {"requests": 123456, "in_flight": 3, "connections": 9, "restarts": 1,
               "responses": {"1xx": 0, "2xx": 123000, "3xx": 0, "4xx": 400, "5xx": 56}, "bytes_in": 1048576, "bytes_out": 100,
               "requests_per_s": 1234.5, "latency_ms": {"p50": 0.21, "p90": 0.5, "p99": 12.3, "max": 99}},
    "workers": [
      {"slot": 0, "pid": 100, "state": "ready", "generation": 2, "uptime_s": 59, "restarts": 1, "requests": 1, "requests_per_s": 10,
       "in_flight": 1, "connections": 4, "rss_bytes": 10485760, "cpu_percent": 12.5, "loop_utilisation": 0.5, "loop_lag_ms": 0.1,
       "latency_ms": {"p50": 0.2, "p90": 1, "p99": 2, "max": 3}, "redis": {"state": "up", "commands": 1, "errors": 0, "latency_ms": 0.1},
       "last_exit": {"reason": "signal 11 (SIGSEGV)", "request": "POST /crash\u001b[2J", "at": "2026-11-22T05:00:00Z"}
},
      {"slot": 1, "pid": null, "state": "backoff", "last_exit": null}],
    "routes": [{"route": "GET /a", "requests": 1, "errors": 0, "latency_ms": {}}, {"route": "GET /b", "requests": 5, "errors": 2, "latency_ms": {}},
               {"route": "GET /never", "requests": 0, "errors": 0, "latency_ms": {}}],
    "redis": {"mode": "embedded", "state": "up"}
})JSON");
}

}  // namespace

TEST_CASE("the status table shows server, totals, workers, exits and routes", "[status_view]") {
  const std::string table = status_table(example());
  CAPTURE(table);
  for (const char* text :
       {"pid 42", "1h02m", "generation 2", "127.0.0.1:8080", "redis embedded, up", "123.5k requests", "1234/s", "ready",
        "10.0M", "50%", "backoff", "signal 11 (SIGSEGV)", "2026-11-22T05:00:00Z", "GET /b"}) {
    CAPTURE(text);
    CHECK(table.find(text) != std::string::npos);
  }
  CHECK(table.find("GET /b") < table.find("GET /a"));
  CHECK(table.find("/never") == std::string::npos);
}

TEST_CASE("the status table tells what is wrong, lost, quarantined and stuck", "[status_view]") {
  json status = example();
  status["server"]["app"] = "shop";
  status["server"]["degraded"] = {"slot 1 has no worker: backoff"};
  status["lost_requests"] = {{"client_left", 3}, {"cut", 0}, {"worker_died", 1}};
  status["quarantine"] = {{{"id", "x"}}};
  status["rollout"] = {
      {"at", "2026-11-22T05:00:00Z"}, {"result", "failed"}, {"generation", 3}, {"message", "no symbol"}};
  status["redis"] = {{"mode", "server"}, {"state", "down"}, {"address", "redis://db:6379/0"}, {"error", "refused"}};
  status["workers"][0]["stuck_s"] = 12.3;
  status["workers"][0]["running"] = {{"what", "GET /block"}, {"for_ms", 12'300}, {"since", "2026-11-22T05:00:00Z"}};
  const std::string table = status_table(status);
  CAPTURE(table);
  for (const char* text :
       {"shop", "degraded: slot 1 has no worker: backoff", "lost requests 4 (client_left 3, worker_died 1)",
        "quarantine: 1 kind of request", "last rollout failed", "no symbol",
        "redis server, down at redis://db:6379/0: refused", "stuck 12s", "GET /block", "12.3s"}) {
    CAPTURE(text);
    CHECK(table.find(text) != std::string::npos);
  }
  CHECK(pronghorn::server::is_degraded(status));
  CHECK_FALSE(pronghorn::server::is_degraded(example()));
}

TEST_CASE("the status table tells of overload while it lasts, and what it has refused", "[status_view]") {
  json status = example();
  CHECK(status_table(status).find("overload") == std::string::npos);
  status["overload"] = {{"workers", 1},
                        {"since", "2026-11-22T05:00:00Z"},
                        {"shed", {{"critical", 0}, {"normal", 1234}, {"background", 5}}}};
  CHECK(status_table(status).find(
            "overloaded: 1 worker since 2026-11-22T05:00:00Z; shed so far: background 5, normal 1234") !=
        std::string::npos);
  status["overload"]["workers"] = 0;
  CHECK(status_table(status).find("shed by overload control: background 5, normal 1234") != std::string::npos);
}

TEST_CASE("the status table has a line of WebSockets while there are any", "[status_view]") {
  json status = example();
  CHECK(status_table(status).find("websockets") == std::string::npos);
  status["totals"]["websockets"] = {{"open", 12'345}, {"opened", 20'000}, {"closed_by_server", 3}, {"too_slow", 1}};
  status["routes"][0]["websockets"] = {{"messages_received", 5}, {"messages_sent", 100'000}, {"queued_bytes", 1024}};
  status["routes"][1]["websockets"] = {{"messages_received", 2}, {"messages_sent", 0}, {"queued_bytes", 512}};
  const std::string shown = status_table(status);
  CAPTURE(shown);
  CHECK(shown.find("12.3k websockets  20.0k opened  3 closed by the server  1 too slow  messages in 7  out 100.0k  "
                   "1.5K queued\n") != std::string::npos);
}

TEST_CASE("the status table tells what a worker that drains is executing", "[status_view]") {
  const json running{{"method", "GET"}, {"path", "/block"}, {"id", "7"}, {"for_ms", 9'000}};
  const json status{
      {"workers", {{{"slot", 0}, {"pid", 101}, {"rows", {{{"pid", 100}, {"running", running}}, {{"pid", 101}}}}}}}};
  const std::string shown = status_table(status);
  CAPTURE(shown);
  CHECK(shown.find("GET /block (draining)") != std::string::npos);
  CHECK(shown.find("9.0s") != std::string::npos);
}

TEST_CASE("the path of a request cannot steer the terminal that shows the status", "[status_view]") {
  CHECK(status_table(example()).find('\x1b') == std::string::npos);
}

TEST_CASE("a status with nothing of what is expected is shown without a crash", "[status_view]") {
  for (const char* text : {"{}", "[]", "null", R"({"server":1,"workers":{"a":1},"routes":[1,null,"x"],"totals":[]})",
                           R"({"workers":[{"slot":"x","latency_ms":7,"last_exit":{"at":"x"}}]})"}) {
    CAPTURE(text);
    CHECK_FALSE(status_table(json::parse(text)).empty());
  }
}

TEST_CASE("the status table shows the distributor only where there is one", "[status_view]") {
  CHECK(status_table(example()).find("distributor") == std::string::npos);
  json status = example();
  status["distributor"] = {
      {"pid", 77},      {"state", "ready"},
      {"uptime_s", 61}, {"waiting", 3},
      {"restarts", 1},  {"last_exit", {{"at", "2026-11-22T05:00:00Z"}, {"reason", "signal 9 (SIGKILL)"}}}};
  CHECK(status_table(status).find("distributor pid 77, ready, up 1m01s, 1 restarts, 3 connections wait; last exit "
                                  "2026-11-22T05:00:00Z: signal 9 (SIGKILL)") != std::string::npos);
}
