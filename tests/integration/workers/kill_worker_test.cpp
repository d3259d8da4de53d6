// kill -9 of workers: what clients see of it.
#include <signal.h>

#include <iostream>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

constexpr int kWorkers = 3;

// Kills each worker in turn; waits for its replacement. Returns how long the longest replacement took.
std::chrono::milliseconds kill_each(const ServerProcess& server, const LoadGenerator& load) {
  std::chrono::milliseconds longest{};
  for (int slot = 0; slot < kWorkers; ++slot) {
    REQUIRE(load.wait_for(100));
    const auto victim = server.worker(slot).at("pid").get<pid_t>();
    const auto killed = Clock::now();
    REQUIRE(::kill(victim, SIGKILL) == 0);
    REQUIRE(eventually(10s, [&] {
      const auto worker = server.worker(slot);
      return worker.at("pid") != victim && worker.at("state") == "ready";
    }));
    longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - killed));
  }
  REQUIRE(load.wait_for(100));
  return longest;
}

void check_explained(const ServerProcess& server) {
  const auto status = server.status();
  CHECK(status.at("totals").at("restarts") == kWorkers);
  for (const auto& worker : status.at("workers")) {
    INFO(worker.dump());
    CHECK(worker.at("restarts") == 1);
    CHECK(worker.at("state") == "ready");
    CHECK(worker.at("last_exit").at("reason").get<std::string>().find("signal 9") != std::string::npos);
    CHECK_FALSE(worker.at("last_exit").at("at").get<std::string>().empty());
  }
  CHECK(server.log_lines("signal 9").size() >= kWorkers);
}

// `clients` names them in the output.
void check_kills(const std::string& clients, const LoadOptions& options) {
  const ServerProcess server({.workers = kWorkers});
  LoadGenerator load(server.address(), options);
  const auto longest = kill_each(server, load);
  const LoadReport report = load.stop();
  std::cout << "kill -9 of " << kWorkers << " workers, " << clients << ": " << report.text()
            << "; longest replacement seen after " << longest.count() << " ms\n";
  INFO(report.text());
  CHECK(report.failed() == 0);
  CHECK(report.count("refused") == 0);
  CHECK(report.count("timeout") == 0);
  check_explained(server);
}

}  // namespace

TEST_CASE("kill -9 of each worker under load costs no request of new connections", "[load][kill]") {
  check_kills("new connections", {.threads = 4, .keep_alive = false});
}

TEST_CASE("kept-alive clients do not notice kill -9 of each worker", "[load][kill]") {
  check_kills("kept-alive connections", {.threads = 4});
}

TEST_CASE("all workers killed at once are replaced", "[kill]") {
  const ServerProcess server({.workers = 3});
  const auto before = server.worker_pids();
  for (const pid_t pid : before) REQUIRE(::kill(pid, SIGKILL) == 0);
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(server.wait_ready(3));
  for (const pid_t pid : server.worker_pids()) CHECK(std::count(before.begin(), before.end(), pid) == 0);
}

TEST_CASE("a worker that SIGTERM tells to leave is replaced while its last request runs", "[kill]") {
  const ServerProcess server({.workers = 1});
  const pid_t leaving = server.worker_pids().at(0);
  HttpConnection idle(server.address());
  REQUIRE(idle.get("/hello").status == 200);
  HttpConnection uploading(server.address());  // its request ends when we want
  uploading.send_raw("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight") == 2; }));  // and /status itself
  REQUIRE(::kill(leaving, SIGTERM) == 0);
  CHECK(idle.get("/hello").status == 200);
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(server.worker(0).at("old_pid") == leaving);
  CHECK(server.worker(0).at("restarts") == 1);
  uploading.send_raw("lo");
  CHECK(uploading.read_response().body == "hello");
  CHECK(eventually(10s, [&] { return server.worker(0).at("old_pid") == 0; }));
  CHECK(server.log_lines(" error ").empty());
}

// The handler was gone while its last objects were destroyed: a SIGTERM to the process group, or one of systemd to all
// processes of the service, left an error and a crash report.
TEST_CASE("SIGTERM that comes again while a worker exits does not look like a crash", "[kill]") {
  const ServerProcess server({.app = app_path("apps/slow_exit"), .workers = 1});
  const pid_t leaving = server.worker_pids().at(0);
  REQUIRE(eventually(20s, [&] { return ::kill(leaving, SIGTERM) != 0; }));
  CHECK(eventually(10s, [&] { return server.log_has("worker 0 has stopped"); }));
  CHECK(server.log_lines(" error ").empty());
}

TEST_CASE("the log says when a slot has a worker again", "[kill]") {
  const ServerProcess server({.workers = 2});
  REQUIRE(::kill(server.worker(1).at("pid").get<pid_t>(), SIGKILL) == 0);
  CHECK(eventually(10s, [&] { return server.log_lines("worker 1 is ready again after ").size() == 1; }));
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(server.log_lines("is ready again").size() == 1);  // not after a requested replacement
}

TEST_CASE("requests that die with their worker are counted, and the exit line says how many", "[kill]") {
  const ServerProcess server({.workers = 1, .arguments = {"--survival-memory", "0"}});
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.emplace_back(server.address()).send_raw("GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight") == 4; }));  // and /status itself
  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
  REQUIRE(eventually(10s, [&] { return server.log_has("while waiting with 3 requests in flight: signal 9"); }));
  REQUIRE(server.wait_ready(1));
  CHECK(server.status().at("totals").at("lost_requests").at("worker_died") == 3);
}
