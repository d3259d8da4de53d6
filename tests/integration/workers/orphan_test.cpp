// No process outlives the supervisor, and the supervisor ends no process that is not its own.
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// Requests that are running when the supervisor dies get 4 s, then on_stop hooks run; after 6 s an alarm ends the worker.
constexpr auto kGrace = 9s;

}  // namespace

TEST_CASE("kill -9 of the supervisor under load leaves no process and frees the port", "[kill]") {
  ServerProcess server({.workers = 3});
  const std::string address = server.address().text();
  LoadGenerator load(server.address(), {.threads = 2});
  REQUIRE(load.wait_for(50));
  server.signal(SIGKILL);
  REQUIRE(server.wait_exit(5s).has_value());
  CHECK(eventually(kGrace, [&] { return server.processes().empty(); }));
  (void)load.stop();
  const ServerProcess again({.workers = 1, .listen = {address}});
  CHECK(get(again.address(), "/hello").status == 200);
}

TEST_CASE("even a worker that hangs ends with its supervisor", "[kill]") {
  ServerProcess server({.workers = 2});
  HttpConnection blocked(server.address());
  blocked.send_raw("POST /crash?how=hang HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  server.signal(SIGKILL);
  REQUIRE(server.wait_exit(5s).has_value());
  CHECK(eventually(kGrace, [&] { return server.processes().empty(); }));
}

// Its alarm ended the worker before drain_timeout: without the hooks, and as if the stream had been whole.
TEST_CASE("workers whose supervisor was killed cut what takes too long, and run on_stop hooks", "[kill]") {
  ServerProcess server({.app = app_path("apps/hooks"), .workers = 1});
  CHECK(get(server.address(), "/endless").status == 200);
  server.signal(SIGKILL);
  REQUIRE(server.wait_exit(5s).has_value());
  CHECK(eventually(kGrace, [&] { return server.processes().empty(); }));
  CHECK(server.log_has("hook: stopped last"));
}

TEST_CASE("a stream without length is reset when its worker ends with the supervisor", "[kill]") {
  ServerProcess server({.workers = 1});
  HttpConnection old(server.address());
  old.send_raw("GET /stream?n=1000&ms=100 HTTP/1.0\r\n\r\n");
  REQUIRE(old.readable_within(10s));
  server.signal(SIGKILL);
  REQUIRE(server.wait_exit(5s).has_value());
  std::string bytes(1 << 16, '\0');
  int error = 0;
  for (ssize_t size = 1; size > 0;) {
    REQUIRE(old.readable_within(kGrace));
    size = ::recv(old.fd(), bytes.data(), bytes.size(), 0);
    error = size < 0 ? errno : 0;
  }
  CHECK(error == ECONNRESET);
  CHECK(eventually(kGrace, [&] { return server.processes().empty(); }));
}

TEST_CASE("a supervisor killed while it starts leaves nothing", "[kill]") {
  ServerProcess server({.workers = 4, .redis = {}, .wait = false});
  server.signal(SIGKILL);
  REQUIRE(server.wait_exit(5s).has_value());
  CHECK(eventually(kGrace, [&] { return server.processes().empty(); }));
}

TEST_CASE("a supervisor that was told to ignore its children's signals still sees them exit", "[kill]") {
  // As under a process manager that left SIGCHLD ignored or blocked.
  ServerProcess server(
      {.command = {"/bin/sh", "-c", "trap '' CHLD HUP; exec \"$0\" \"$@\"", program_path(), "serve", app_path("demo")},
       .workers = 2});
  const auto victim = server.worker_pids().at(0);
  REQUIRE(::kill(victim, SIGKILL) == 0);
  CHECK(eventually(10s, [&] {
    const auto pids = server.worker_pids();
    return std::count(pids.begin(), pids.end(), victim) == 0 && server.wait_ready(2, 0ms);
  }));
}
