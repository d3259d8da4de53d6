// Handlers that crash their worker: it is replaced, its exit is explained, the request is named.
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "integration/crashes/reported_crash.h"
#include "support/catch.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

void check_crash(const std::string& how, const std::vector<std::string>& arguments, const std::string& reason) {
  const ServerProcess server({.workers = 1, .arguments = arguments, .environment = kPlainSignals});
  crash(server, how);
  CHECK(get(server.address(), "/hello").status == 200);
  const auto worker = server.worker(0);
  INFO(worker.dump());
  CHECK(worker.at("restarts") == 1);
  const auto last_exit = worker.at("last_exit");
  CHECK(last_exit.at("reason").get<std::string>().find(reason) != std::string::npos);
  CHECK(last_exit.at("request").get<std::string>().starts_with("POST /crash"));
  const auto lines = server.log_lines("POST /crash");
  const bool logged = std::any_of(lines.begin(), lines.end(),
                                  [&](const std::string& line) { return line.find(reason) != std::string::npos; });
  CHECK(logged);
}

}  // namespace

TEST_CASE("a segmentation fault names the request that caused it", "[crash]") { check_crash("segv", {}, "SIGSEGV"); }

TEST_CASE("abort() names the request that caused it", "[crash]") { check_crash("abort", {}, "SIGABRT"); }

TEST_CASE("exit() in a handler names its request and status", "[crash]") { check_crash("exit", {}, "exit status 7"); }

TEST_CASE("a worker that hangs is killed after worker_timeout and names the request", "[crash]") {
  check_crash("hang", {"--worker-timeout", "500ms"}, "SIG");
}

TEST_CASE("a worker that is blocked for less than worker_timeout is not killed", "[crash]") {
  const ServerProcess server({.workers = 1, .arguments = {"--worker-timeout", "2s"}});
  const auto pids = server.worker_pids();
  CHECK(get(server.address(), "/block?ms=600").status == 200);
  CHECK(server.worker_pids() == pids);
}

// One turn of the loop takes what all these clients need.
TEST_CASE("a worker that goes from one slow request to the next is not taken for one that hangs", "[crash]") {
  const ServerProcess server({.workers = 1, .arguments = {"--worker-timeout", "2s", "--overload", "off"}});
  const auto pids = server.worker_pids();
  std::vector<HttpConnection> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back(server.address()).send_raw("GET /block?ms=400 HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  for (HttpConnection& client : clients) CHECK(client.read_response().status == 200);
  CHECK(server.worker_pids() == pids);
}

TEST_CASE("a worker that waits is not taken for one that hangs", "[crash]") {
  const ServerProcess server({.workers = 1, .arguments = {"--worker-timeout", "500ms"}});
  const auto pids = server.worker_pids();
  CHECK(get(server.address(), "/slow?ms=1200").status == 200);
  CHECK(server.worker_pids() == pids);
}

TEST_CASE("a worker killed while idle has no request to name", "[crash]") {
  const ServerProcess server({.workers = 1});
  const auto victim = server.worker_pids().at(0);
  (void)get(server.address(), "/hello");
  REQUIRE(::kill(victim, SIGKILL) == 0);
  REQUIRE(eventually(10s, [&] { return server.worker(0).at("pid") != victim && server.wait_ready(1, 0ms); }));
  CHECK(server.worker(0).at("last_exit").at("request") == "");
}

TEST_CASE("a crash loop of one slot backs off while the others serve everything", "[crash]") {
  // While this file exists, the worker of slot 1 exits during its start; the other worker covers its listener.
  const TempDir directory;
  const std::string marker = directory / "crash";
  const ServerProcess server(
      {.app = app_path("apps/crashes_in_slot_1"), .workers = 2, .environment = {{"CRASH_MARKER", marker}}});
  write_file(marker, "");
  REQUIRE(::kill(server.worker(1).at("pid").get<pid_t>(), SIGKILL) == 0);
  REQUIRE(eventually(10s, [&] { return server.log_lines("exit status 9").size() >= 2; }));
  CHECK(eventually(10s, [&] {
    const auto worker = server.worker(1);
    return worker.at("backoff").is_object() && worker.at("backoff").at("exits") >= 3;
  }));
  // "restarting slot 1 in 400 ms: 3 exits in 0.4 s": each delay is about twice the one before.
  REQUIRE(eventually(20s, [&] {
    REQUIRE(get(server.address(), "/").body == "slot 0");
    return server.log_lines("restarting slot 1 in ").size() >= 4;
  }));
  int before = 0;
  for (const std::string& line : server.log_lines("restarting slot 1 in ")) {
    INFO(line);
    const int delay = std::stoi(line.substr(line.find("restarting slot 1 in ") + 21));
    CHECK(delay > before);
    before = delay;
  }
  CHECK(server.log_has("exits in "));
  CHECK(server.worker(1).at("restarts").get<int>() >= 4);
  CHECK(server.worker(0).at("restarts") == 0);

  std::filesystem::remove(marker);  // and it comes back when it can
  CHECK(server.wait_ready(2, 15s));
}
