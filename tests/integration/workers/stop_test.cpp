// Stopping: requests in flight finish, no new ones are accepted, nothing is left running.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

const ExitStatus kStopped{.code = 0, .signal = 0};

HttpConnection begin_slow(const ServerProcess& server, int ms) {
  HttpConnection connection(server.address());
  connection.send_raw("GET /slow?ms=" + std::to_string(ms) + " HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("in_flight").get<int>() >= 2; }));
  return connection;
}

bool refuses(const ServerProcess& server) {
  try {
    HttpConnection connection(server.address());
    return false;
  } catch (const ClientError& error) {
    return error.failure() == Failure::refused;
  }
}

}  // namespace

TEST_CASE("TERM lets a slow request finish, then the server exits with status 0", "[stop]") {
  ServerProcess server({.workers = 2});
  HttpConnection slow = begin_slow(server, 800);
  server.signal(SIGTERM);
  const HttpResponse response = slow.read_response();
  CHECK(response.status == 200);
  CHECK(response.json() == nlohmann::json{{"waited_ms", 800}});
  CHECK(response.header("Connection") == "close");
  CHECK(server.wait_exit(5s) == kStopped);
  CHECK(refuses(server));
}

TEST_CASE("a client that connects while the last requests are finished is served, whichever worker is left", "[stop]") {
  ServerProcess server({.workers = 2});
  HttpConnection slow = begin_slow(server, 1500);
  server.signal(SIGTERM);
  REQUIRE(eventually(5s, [&] { return children_without_guardians(server.pid()).size() == 1; }));
  for (int i = 0; i < 20; ++i) {
    const HttpResponse response = HttpConnection(server.address(), 1s).get("/hello");
    CHECK(response.status == 200);
    CHECK(response.header("Connection") == "close");
  }
  CHECK(slow.read_response().status == 200);
  CHECK(server.wait_exit(5s) == kStopped);
  CHECK(refuses(server));
}

TEST_CASE("clients that wait for a worker, and requests just sent, get responses when the server stops", "[stop]") {
  ServerProcess server({.workers = 1});
  const pid_t worker = server.worker_pids().at(0);
  HttpConnection kept(server.address());
  CHECK(kept.get("/hello").status == 200);
  REQUIRE(::kill(worker, SIGSTOP) == 0);
  REQUIRE(eventually(5s, [worker] { return process_state(worker) == 'T'; }));
  const std::string request = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
  kept.send_raw(request);
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 8; ++i) waiting.emplace_back(server.address()).send_raw(request);
  server.signal(SIGTERM);
  REQUIRE(eventually(5s, [&server] { return server.log_has("stopping"); }));
  REQUIRE(::kill(worker, SIGCONT) == 0);
  CHECK(kept.read_response().status == 200);
  for (HttpConnection& connection : waiting) CHECK(connection.read_response().status == 200);
  CHECK(server.wait_exit(5s) == kStopped);
}

TEST_CASE("INT drains too, a second INT stops now", "[stop]") {
  ServerProcess server({.workers = 2});
  HttpConnection slow = begin_slow(server, 600'000);
  server.signal(SIGINT);
  CHECK_FALSE(server.wait_exit(300ms).has_value());
  server.signal(SIGINT);
  CHECK(server.wait_exit(20s) == kStopped);
}

TEST_CASE("QUIT stops now", "[stop]") {
  ServerProcess server({.workers = 2});
  HttpConnection slow = begin_slow(server, 600'000);
  server.signal(SIGQUIT);
  CHECK(server.wait_exit(20s) == kStopped);
}

// The last handler of a signal was gone before the process was: every tenth stop or so.
TEST_CASE("signals that come until the server has ended do not change its exit status", "[stop]") {
  for (int i = 0; i < 10; ++i) {
    ServerProcess server({.workers = 1});
    pollfd ended{.fd = static_cast<int>(::syscall(SYS_pidfd_open, server.pid(), 0)), .events = POLLIN, .revents = 0};
    REQUIRE(ended.fd >= 0);
    while (::poll(&ended, 1, 0) == 0) ::syscall(SYS_pidfd_send_signal, ended.fd, SIGTERM, nullptr, 0);
    ::close(ended.fd);
    CHECK(server.wait_exit(20s) == kStopped);
  }
}

TEST_CASE("idle connections do not delay a stop", "[stop]") {
  ServerProcess server({.workers = 2, .arguments = {"--drain-timeout", "10m"}});
  std::vector<HttpConnection> idle;
  for (int i = 0; i < 10; ++i) {
    idle.emplace_back(server.address());
    if (i % 2 == 0) CHECK(idle.back().get("/hello").status == 200);
  }
  CHECK(server.stop(20s) == kStopped);
  for (HttpConnection& connection : idle) CHECK(connection.closed_within(10s));
}

TEST_CASE("a request that is still arriving when the server stops gets its response", "[stop]") {
  ServerProcess server({.workers = 1});
  HttpConnection arriving(server.address());
  arriving.send_raw("GET /hel");
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("connections") == 2; }));
  server.signal(SIGTERM);
  REQUIRE(eventually(5s, [&] { return server.log_has("worker 0") && server.log_has("draining"); }));
  arriving.send_raw("lo HTTP/1.1\r\nHost: a\r\n\r\n");
  const HttpResponse response = arriving.read_response();
  CHECK(response.body == "Hello, World!");
  CHECK(response.header("Connection") == "close");
  CHECK(server.wait_exit(3s) == kStopped);
}

TEST_CASE("a client that never completes its request delays a stop by header_timeout at most", "[stop]") {
  ServerProcess server({.workers = 1, .arguments = {"--header-timeout", "500ms", "--drain-timeout", "10m"}});
  HttpConnection half(server.address());
  half.send_raw("GET /hel");
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("connections") == 2; }));
  CHECK(server.stop(20s) == kStopped);
}

TEST_CASE("a request that takes longer than drain_timeout is ended, and the log says so", "[stop]") {
  ServerProcess server({.workers = 1, .arguments = {"--drain-timeout", "500ms"}});
  HttpConnection slow = begin_slow(server, 60'000);
  const auto begin = Clock::now();
  CHECK(server.stop(20s) == kStopped);
  CHECK(Clock::now() - begin >= 400ms);
  CHECK_FALSE(
      server.log_lines("drain_timeout expired: closing connections with requests in flight connections=1 in_flight=1")
          .empty());
}

TEST_CASE("a worker that hangs does not delay a stop beyond drain_timeout", "[stop]") {
  ServerProcess server({.workers = 1, .arguments = {"--drain-timeout", "500ms"}});
  HttpConnection blocked(server.address());
  blocked.send_raw("GET /block?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return process_state(children_without_guardians(server.pid()).at(0)) == 'S'; }));
  CHECK(server.stop(10s).has_value());
}

TEST_CASE("during drain_delay the server is not ready and serves all the same", "[stop]") {
  ServerProcess server({.workers = 2, .arguments = {"--drain-delay", "1h"}});
  server.signal(SIGTERM);
  CHECK(server.wait_ready_status(503));
  CHECK(get(server.address(), "/hello").status == 200);
  server.signal(SIGQUIT);
  CHECK(server.wait_exit(20s) == kStopped);
}

TEST_CASE("a stop takes at least drain_delay", "[stop]") {
  ServerProcess server({.workers = 1, .arguments = {"--drain-delay", "700ms"}});
  const auto begin = Clock::now();
  CHECK(server.stop(20s) == kStopped);
  CHECK(Clock::now() - begin >= 700ms);
}

TEST_CASE("each step of a drain is logged with what is left", "[stop]") {
  ServerProcess server({.workers = 1, .arguments = {"--drain-delay", "200ms"}});
  HttpConnection slow = begin_slow(server, 700);
  CHECK(server.stop(5s) == kStopped);
  const auto has = [&server](const std::string& step, const std::string& field) {
    const auto lines = server.log_lines(step);
    INFO(step << ": " << field);
    REQUIRE(lines.size() == 1);
    CHECK(lines.front().find(field) != std::string::npos);
  };
  has("draining: serving for drain_delay", "delay_ms=200");
  has("draining: finishing requests in flight", "in_flight=1");
  has("drained: all requests answered", "answered=1");
  CHECK(slow.read_response().status == 200);
}

// It said "all requests answered".
TEST_CASE("a worker that is told to stop immediately logs how many requests it has not answered", "[stop]") {
  ServerProcess server({.workers = 1});
  HttpConnection slow = begin_slow(server, 60'000);
  server.signal(SIGTERM);
  REQUIRE(eventually(5s, [&] { return !server.log_lines("draining: finishing requests in flight").empty(); }));
  server.signal(SIGQUIT);
  CHECK(server.wait_exit(20s) == kStopped);
  CHECK(server.log_lines("all requests answered").empty());
  const auto lines = server.log_lines("drained: some requests got no complete response");
  REQUIRE(lines.size() == 1);
  CHECK(lines.front().find("lost=1") != std::string::npos);
}

TEST_CASE("a stop under load loses no request that a worker had begun", "[stop][load]") {
  ServerProcess server({.workers = 2});
  LoadGenerator load(server.address(), {.target = "/slow?ms=20", .threads = 6, .pause = 1ms});
  REQUIRE(load.wait_for(50));
  CHECK(server.stop(5s) == kStopped);
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.count("timeout") == 0);
  CHECK(report.count("cut in the response") == 0);
  CHECK(report.count("status 503") == 0);
}

TEST_CASE("on_stop hooks run in reverse order, after background work", "[stop]") {
  ServerProcess server({.app = app_path("apps/hooks"), .workers = 1});
  CHECK(server.log_lines("hook: started").size() == 1);
  CHECK(get(server.address(), "/background").status == 200);
  CHECK(server.stop(5s) == kStopped);
  const std::string log = server.log();
  const auto background = log.find("hook: background work is done");
  const auto first = log.find("hook: stopped first");
  const auto last = log.find("hook: stopped last");
  REQUIRE(last != std::string::npos);
  CHECK(background < first);
  CHECK(first < last);
}

TEST_CASE("a periodic task runs until the drain and does not delay it", "[stop]") {
  ServerProcess server({.app = app_path("apps/hooks"), .workers = 1});
  REQUIRE(eventually(10s, [&] { return server.log_lines("hook: periodic").size() >= 3; }));
  CHECK(server.stop(10s) == kStopped);  // drain_timeout is 30 s
  const std::string log = server.log();
  CHECK(server.log_lines("hook: draining draining=true").size() == 1);
  CHECK(log.rfind("hook: periodic") < log.find("hook: stopped first"));
}

TEST_CASE("a background task that does not end is destroyed after drain_timeout, and on_stop hooks run", "[stop]") {
  ServerProcess server({.app = app_path("apps/hooks"), .workers = 1, .arguments = {"--drain-timeout", "300ms"}});
  CHECK(get(server.address(), "/endless").status == 200);
  CHECK(server.stop(10s) == kStopped);
  CHECK(server.log_lines("drain_timeout expired: ").size() == 1);
  CHECK(server.log_lines("hook: stopped last").size() == 1);
}

TEST_CASE("on_stop hooks that do not finish are abandoned", "[stop]") {
  ServerProcess server(
      {.app = app_path("apps/hooks"), .workers = 1, .environment = {{"PRONGHORN_APP_NEVER_STOPS", "1"}}});
  CHECK(server.stop(20s) == kStopped);
  CHECK(server.log_lines("on_stop hooks did not finish in time: abandoning them").size() == 1);
}

TEST_CASE("a stop while workers start ends the start", "[stop]") {
  ServerProcess server({.app = app_path("apps/never_ready"), .workers = 2, .wait = false});
  REQUIRE(eventually(5s, [&] { return children_without_guardians(server.pid()).size() == 2; }));
  CHECK(server.stop(5s) == kStopped);
}
