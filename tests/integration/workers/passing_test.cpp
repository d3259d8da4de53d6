// Balances with which the supervisor accepts and passes connections: what it holds, and what it does when workers are full
// or descriptors are short.
#include <signal.h>

#include <vector>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// A server whose processes may have this many descriptors.
ServerOptions limited(int descriptors, const std::string& balance) {
  return {.command = {"/bin/sh", "-c", "ulimit -n " + std::to_string(descriptors) + "; exec \"$0\" \"$@\"",
                      program_path(), "serve", app_path("demo")},
          .workers = 2,
          .arguments = {"--balance", balance}};
}

}  // namespace

// Each lost confirmation once leaked a descriptor in the supervisor, so silent clients that disconnected stopped the
// server and its control socket.
TEST_CASE("silent clients that leave again cost no descriptor, and commands work meanwhile", "[passing]") {
  const ServerProcess server(limited(256, "ip-hash"));
  REQUIRE(get(server.address(), "/hello").status == 200);
  const std::size_t before = open_descriptors(server.pid());
  {
    std::vector<HttpConnection> silent;
    for (int i = 0; i < 700; ++i) silent.emplace_back(server.address());
    CHECK(server.control_command({"status", "--json"}).status <= 1);  // 1: degraded, but it answers
    CHECK(server.control_command({"scale", "3"}).status == 0);
    CHECK(server.control_command({"scale", "2"}).status == 0);
  }
  CHECK(eventually(20s, [&] { return get(server.address(), "/hello").status == 200; }));
  CHECK(eventually(20s, [&] { return open_descriptors(server.pid()) <= before + 2; }));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
}

TEST_CASE("a connection is passed to a worker that has room, and waits when none has", "[passing]") {
  const ServerProcess server({.workers = 2, .arguments = {"--balance", "round-robin", "--max-connections", "4"}});
  std::vector<HttpConnection> kept;
  for (int i = 0; i < 8; ++i) REQUIRE(kept.emplace_back(server.address()).get("/hello").status == 200);
  HttpConnection waiting(server.address(), 20s);
  waiting.send_raw("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK_FALSE(waiting.readable_within(300ms));
  kept.pop_back();
  CHECK(waiting.read_response().status == 200);
}

TEST_CASE("a client whose worker dies before it has taken the connection goes to another", "[passing]") {
  const ServerProcess server({.workers = 2, .arguments = {"--balance", "round-robin", "--worker-timeout", "2s"}});
  const pid_t stopped = server.worker_pids().at(0);
  REQUIRE(::kill(stopped, SIGSTOP) == 0);
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 10; ++i) {
    waiting.emplace_back(server.address(), 20s).send_raw("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  for (HttpConnection& connection : waiting) CHECK(connection.read_response().status == 200);
  CHECK(eventually(10s, [&] { return !is_running(stopped); }));
}
