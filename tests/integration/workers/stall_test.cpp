// Loops that are blocked for stall_threshold.
#include <signal.h>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

TEST_CASE("a blocked loop is counted, and logged with its request and stack", "[crash][stall]") {
  const ServerProcess server({.workers = 1});
  CHECK(server.worker(0).at("stalls") == 0);
  CHECK(get(server.address(), "/block?ms=1000").status == 200);  // seen by a supervisor that gets little time as well
  CHECK(eventually(20s, [&] { return server.log_has("has been blocked"); }));
  const auto lines = server.log_lines("has been blocked for");
  INFO(server.log());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("GET /block") != std::string::npos);
  CHECK(lines[0].find("demo::(anonymous namespace)::block") != std::string::npos);
  CHECK(eventually(5s, [&] { return server.log_lines("the event loop was blocked for ").size() == 1; }));
  CHECK(server.worker(0).at("stalls") == 1);
  CHECK(get(server.address(), "/metrics").body.find("pronghorn_loop_stalls_total{slot=\"0\"} 1") != std::string::npos);
  CHECK(get(server.address(), "/block?ms=400").status == 200);  // counted too; its stack would be too much
  CHECK(eventually(20s, [&] { return server.worker(0).at("stalls") >= 2; }));
  CHECK(server.log_lines("has been blocked for").size() == 1);
}

// They had an id of our own, which was in no other log.
TEST_CASE("a blocked loop is told with the id that a trusted proxy has chosen", "[crash][stall]") {
  const ServerProcess server({.workers = 1, .arguments = {"--trusted-proxies", "127.0.0.1"}});
  CHECK(get(server.address(), "/block?ms=1000", {{"X-Request-Id", "proxy-7"}}).status == 200);
  INFO(server.log());
  CHECK(eventually(20s, [&] { return server.log_has("has been blocked"); }));
  CHECK(server.log_lines("has been blocked for").at(0).find("request=proxy-7") != std::string::npos);
  REQUIRE(eventually(5s, [&] { return server.log_has("the event loop was blocked for"); }));
  CHECK(server.log_lines("the event loop was blocked for").at(0).find("request=proxy-7") != std::string::npos);
}

TEST_CASE("status names a running request by the id that a trusted proxy has chosen", "[stall][status]") {
  const ServerProcess server(
      {.workers = 2, .arguments = {"--trusted-proxies", "127.0.0.1", "--worker-timeout", "60s"}});
  HttpConnection blocked(server.address(), 30s);
  blocked.send_raw("GET /block?ms=3000 HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: proxy-7\r\n\r\n");
  CHECK(eventually(20s, [&] {
    const auto& all = server.control_command({"status", "--json"}).out;
    return all.find("\"id\": \"proxy-7\"") != std::string::npos;
  }));
}

// The supervisor requested its stack, as of a blocked worker, and named its functions.
TEST_CASE("a worker whose static objects take long to destroy exits regularly, and is not blocked", "[stall]") {
  const ServerProcess server({.app = app_path("apps/slow_exit"), .workers = 2});
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(eventually(10s, [&] { return server.log_lines("has stopped").size() == 2; }));
  CHECK_FALSE(server.log_has("signal"));
  CHECK_FALSE(server.log_has("has been blocked"));
}

TEST_CASE("a worker that waits for events has no stalls", "[crash][stall]") {
  const ServerProcess server({.workers = 1, .arguments = {"--stall-threshold", "20ms"}});
  CHECK(get(server.address(), "/slow?ms=600").status == 200);
  CHECK_FALSE(server.log_has("has been blocked"));
}

// New connections waited in the queue of a worker whose loop was blocked, until worker_timeout.
TEST_CASE("while a loop is blocked, other workers accept from its listener", "[stall][queue]") {
  const ServerProcess server({.workers = 2, .arguments = {"--worker-timeout", "60s"}});
  HttpConnection blocked(server.address(), 30s);
  blocked.send_raw("GET /block?ms=10000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return server.log_has("has been blocked"); }));
  for (int i = 0; i < 30; ++i) CHECK(HttpConnection(server.address(), 3s).get("/hello").status == 200);
  CHECK_FALSE(blocked.readable_within(0ms));  // it is still blocked
  CHECK(blocked.read_response().status == 200);
  for (int i = 0; i < 30; ++i) CHECK(HttpConnection(server.address(), 3s).get("/hello").status == 200);
}

TEST_CASE("a worker that is stopped by a signal is covered, also with stall_threshold 0", "[stall][queue]") {
  const ServerProcess server({.workers = 2, .arguments = {"--worker-timeout", "60s", "--stall-threshold", "0"}});
  const pid_t stopped = server.worker_pids().at(0);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  for (int i = 0; i < 30; ++i) CHECK(HttpConnection(server.address(), 5s).get("/hello").status == 200);
  CHECK(process_state(stopped) == 'T');
  REQUIRE(::kill(stopped, SIGCONT) == 0);
  CHECK(eventually(5s, [&] { return server.wait_ready(2, 0ms); }));
}
