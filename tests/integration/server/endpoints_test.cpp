// The server's own endpoints: /health, /ready, /status, /metrics.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "common/fd.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/temp_dir.h"

using namespace pronghorn::test;

namespace {

void check_keys(const nlohmann::json& object, std::initializer_list<const char*> keys) {
  INFO(object.dump());
  for (const char* key : keys) {
    INFO(key);
    CHECK(object.contains(key));
  }
}

}  // namespace

TEST_CASE("/status has every field of the contract", "[status]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  for (int i = 0; i < 5; ++i) (void)get(server.address(), "/visits");
  const HttpResponse response = get(server.address(), "/status");
  CHECK(response.status == 200);
  CHECK(response.header("Content-Type").starts_with("application/json"));
  const auto status = response.json();
  check_keys(status, {"server", "totals", "workers", "routes", "redis"});
  check_keys(status.at("server"), {"name", "version", "pid", "uptime_s", "generation", "listen"});
  check_keys(status.at("totals"), {"requests", "in_flight", "connections", "restarts", "responses", "bytes_in",
                                   "bytes_out", "requests_per_s", "latency_ms"});
  check_keys(status.at("totals").at("responses"), {"1xx", "2xx", "3xx", "4xx", "5xx"});
  check_keys(status.at("totals").at("latency_ms"), {"p50", "p90", "p99", "max"});
  REQUIRE(status.at("workers").size() == 2);
  for (const auto& worker : status.at("workers")) {
    check_keys(worker, {"slot", "pid", "state", "generation", "uptime_s", "restarts", "requests", "requests_per_s",
                        "in_flight", "connections", "rss_bytes", "cpu_percent", "loop_utilisation", "loop_lag_ms",
                        "latency_ms", "redis", "last_exit"});
    check_keys(worker.at("latency_ms"), {"p50", "p90", "p99", "max"});
    check_keys(worker.at("redis"), {"state", "commands", "errors", "latency_ms"});
    CHECK(worker.at("last_exit").is_null());
  }
  REQUIRE_FALSE(status.at("routes").empty());
  check_keys(status.at("routes").at(0), {"route", "requests", "errors", "latency_ms"});
  check_keys(status.at("redis"), {"mode", "state"});
}

TEST_CASE("/status counts what happened, over all workers", "[status]") {
  const ServerProcess server({.workers = 2});
  const auto before = server.status();
  for (int i = 0; i < 30; ++i) (void)get(server.address(), "/hello");
  for (int i = 0; i < 7; ++i) (void)get(server.address(), "/users/x");
  (void)post(server.address(), "/crash?how=throw");
  (void)post(server.address(), "/echo", std::string(10'000, 'a'));
  (void)get(server.address(), "/slow?ms=60");
  const auto after = server.status();
  const auto grown = [&](const char* key) {
    return after.at("totals").at(key).get<std::int64_t>() - before.at("totals").at(key).get<std::int64_t>();
  };
  const auto responses = [&](const char* family) {
    return after.at("totals").at("responses").at(family).get<int>() -
           before.at("totals").at("responses").at(family).get<int>();
  };
  CHECK(grown("requests") >= 40);
  CHECK(responses("2xx") >= 32);
  CHECK(responses("4xx") == 7);
  CHECK(responses("5xx") == 1);
  CHECK(grown("bytes_in") > 10'000);
  CHECK(grown("bytes_out") > 10'000);
  CHECK(after.at("totals").at("latency_ms").at("max").get<double>() >= 60);
  CHECK(after.at("totals").at("latency_ms").at("p50") < after.at("totals").at("latency_ms").at("max"));
  const auto route = [&after](const std::string& name) {
    for (const auto& entry : after.at("routes")) {
      if (entry.at("route") == name) return entry;
    }
    return nlohmann::json{{"requests", -1}, {"errors", -1}};
  };
  CHECK(route("GET /hello").at("requests") == 30);
  CHECK(route("GET /users/{id}").at("requests") == 7);
  CHECK(route("POST /crash").at("errors") == 1);
}

TEST_CASE("/status has real figures of the processes", "[status]") {
  const ServerProcess server({.workers = 1});
  HttpConnection busy(server.address());
  busy.send_raw("GET /block?ms=1500 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(busy.read_response().status == 200);
  REQUIRE(eventually(5s, [&] {
    const auto worker = server.worker(0);
    return worker.at("rss_bytes").get<std::uint64_t>() > 1'000'000 && worker.at("uptime_s").get<double>() > 1;
  }));
  const auto status = server.status();
  CHECK(status.at("server").at("uptime_s").get<double>() > 1);
  CHECK(status.at("server").at("listen").at(0).get<std::string>().find(std::to_string(server.address().port)) !=
        std::string::npos);
  // `busy` and the one that asks; an earlier one is counted until the server has seen it close.
  CHECK(eventually(5s, [&] { return server.status().at("totals").at("connections") == 2; }));
  CHECK(status.at("totals").at("in_flight") == 1);  // this request itself
}

TEST_CASE("a browser gets /status as a page, headed by the application's name", "[status]") {
  const ServerProcess server({.workers = 1, .arguments = {"--name", "shop"}});
  const HttpResponse page = get(server.address(), "/status", {{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}});
  CHECK(page.status == 200);
  CHECK(page.header("Content-Type").starts_with("text/html"));
  CHECK(page.body.find("<title>shop status</title>") != std::string::npos);
  CHECK(page.body.find("<h1>shop</h1>") != std::string::npos);
}

TEST_CASE("/health and /ready answer, and HEAD of them", "[status]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  CHECK(connection.get("/health").status == 200);
  CHECK(connection.get("/ready").status == 200);  // with --redis none nothing is missing
  CHECK(connection.request("HEAD", "/health").status == 200);
  CHECK(connection.request("POST", "/health").status == 405);
}

TEST_CASE("/metrics is in the format of Prometheus", "[status]") {
  const ServerProcess server({.workers = 2});
  for (int i = 0; i < 5; ++i) (void)get(server.address(), "/hello");
  const HttpResponse metrics = get(server.address(), "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.header("Content-Type").starts_with("text/plain; version=0.0.4"));
  CHECK(metrics.body.find("# TYPE pronghorn_") != std::string::npos);
  CHECK(metrics.body.find("pronghorn_requests_total") != std::string::npos);
}

TEST_CASE("endpoints can be moved and switched off", "[status]") {
  const ServerProcess server({.workers = 1, .arguments = {"--health-path", "/_/alive", "--metrics-path", "off"}});
  CHECK(get(server.address(), "/_/alive").status == 200);
  CHECK(get(server.address(), "/health").status == 404);
  CHECK(get(server.address(), "/metrics").status == 404);
}

TEST_CASE("the admin process answers when every worker is stuck", "[status]") {
  const ServerProcess server({.workers = 1, .arguments = {"--admin", "127.0.0.1:0"}});
  const std::string line = server.log_lines("admin on http://").at(0);
  const auto at = line.find("http://", line.find("admin on"));
  const Address admin = Address::parse(line.substr(at, line.find(',', at) - at));
  HttpConnection wedged(server.address());
  wedged.send_raw("GET /block?ms=1500 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(get(admin, "/health").status == 200);
  CHECK(get(admin, "/status").json().at("workers").size() == 1);
  CHECK(get(admin, "/hello").status == 404);
  CHECK(wedged.read_response().status == 200);
}

// The admin process once reported a server as ready although every worker was blocked.
TEST_CASE("a server whose every worker is stuck is not ready, and says what they execute", "[status]") {
  const ServerProcess server({.workers = 1, .arguments = {"--admin", "127.0.0.1:0"}});
  const std::string line = server.log_lines("admin on http://").at(0);
  const auto at = line.find("http://", line.find("admin on"));
  const Address admin = Address::parse(line.substr(at, line.find(',', at) - at));
  CHECK(get(admin, "/ready").status == 200);
  HttpConnection wedged(server.address());
  wedged.send_raw("GET /block?ms=4000 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(eventually(5s, [&] { return get(admin, "/ready").status == 503; }));
  const auto worker = get(admin, "/status").json().at("workers").at(0);
  CHECK(worker.at("stuck_s").get<double>() >= 1);
  CHECK(worker.at("running").at("what") == "GET /block");
  CHECK(get(admin, "/metrics").body.find("pronghorn_worker_stuck{slot=\"0\"} 1") != std::string::npos);
  CHECK(wedged.read_response().status == 200);
  CHECK(eventually(5s, [&] { return get(admin, "/ready").status == 200; }));
}

TEST_CASE("the id of a request comes from a trusted proxy, and goes into the response and the access log", "[status]") {
  const TempDir directory;
  const ServerProcess server({.workers = 1,
                              .arguments = {"--trusted-proxies", "127.0.0.0/8", "--access-log", directory / "access",
                                            "--access-log-format", "%L %s"}});
  constexpr const char* kTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const HttpResponse taken = get(server.address(), "/hello", {{"X-Request-Id", "proxy-1"}, {"traceparent", kTrace}});
  CHECK(taken.header("X-Request-Id") == "proxy-1");
  CHECK(taken.header("traceparent").starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
  const HttpResponse made = get(server.address(), "/hello", {{"X-Request-Id", "two words"}, {"traceparent", "ff-x"}});
  CHECK(made.header("X-Request-Id").size() == 24);
  CHECK(made.header("traceparent").empty());
  CHECK(eventually(5s, [&] {
    const std::string log = read_file(directory / "access");
    return log.find("proxy-1 200\n") != std::string::npos && log.find(made.header("X-Request-Id")) != std::string::npos;
  }));
}

// Workers once blocked in write(2), and the watchdog killed each of them.
TEST_CASE("an access log into a pipe that nobody reads stops nothing and counts what it drops", "[status]") {
  const TempDir directory;
  const std::string fifo = directory / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const ServerProcess server({.workers = 1, .arguments = {"--access-log", fifo, "--worker-timeout", "1s"}});
  const std::string target = "/hello?" + std::string(2'000, 'x');
  HttpConnection client(server.address());
  for (int i = 0; i < 500; ++i) REQUIRE(client.get(target).status == 200);
  CHECK(eventually(5s, [&] { return server.status().at("totals").at("log_lines_dropped").get<int>() > 0; }));
  CHECK(server.status().at("totals").at("restarts") == 0);
}

// What waited in the buffer of a worker that ended was in no file and in no figure.
TEST_CASE("every line of the access log is in the log or counted as dropped, however its worker ends", "[status]") {
  const TempDir directory;
  const std::string fifo = directory / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const pronghorn::Fd reader(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const ServerProcess server({.workers = 1, .arguments = {"--access-log", fifo}});
  const std::string target = "/hello?" + std::string(1'000, 'x');
  HttpConnection client(server.address());
  constexpr int kRequests = 100;  // the pipe takes about 60 of their lines
  const auto ask = [&] {
    for (int i = 0; i < kRequests; ++i) REQUIRE(client.get(target).status == 200);
  };
  const auto written = [&] {
    std::string text;
    std::array<char, 65'536> bytes{};
    for (ssize_t count = 0; (count = ::read(reader.get(), bytes.data(), bytes.size())) > 0;)
      text.append(bytes.data(), static_cast<std::size_t>(count));
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = text.find(target, at)) != std::string::npos; ++at) ++lines;
    return static_cast<int>(lines);
  };
  // Not over HTTP, which would add lines.
  const auto status = [&] { return nlohmann::json::parse(server.control_command({"status", "--json"}).out); };
  const auto dropped = [&] { return status().at("totals").at("log_lines_dropped").get<int>(); };

  ask();
  REQUIRE(::kill(status().at("workers").at(0).at("pid").get<pid_t>(), SIGKILL) == 0);
  CHECK(eventually(10s, [&] { return dropped() > 0; }));
  const int lost_by_kill = dropped();
  CHECK(written() + lost_by_kill == kRequests);

  ask();
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(eventually(10s, [&] { return dropped() > lost_by_kill; }));
  CHECK(written() + dropped() - lost_by_kill == kRequests);
}
