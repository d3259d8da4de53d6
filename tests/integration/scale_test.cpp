// More and fewer workers while the server runs.
#include <signal.h>

#include "support/catch.h"
#include "support/load_generator.h"
#include "support/server_process.h"

using namespace pronghorn::test;

TEST_CASE("TTIN starts a worker more, TTOU stops one, but not the last", "[scale]") {
  const ServerProcess server({.workers = 2});
  server.signal(SIGTTIN);
  CHECK(server.wait_ready(3));
  server.signal(SIGTTOU);
  CHECK(server.wait_ready(2));
  server.signal(SIGTTOU);
  CHECK(server.wait_ready(1));
  server.signal(SIGTTOU);
  CHECK(eventually(5s, [&] { return children_of(server.pid()).size() == 1; }));
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("pronghorn scale takes a number, +N and -N", "[scale]") {
  const ServerProcess server({.workers = 1});
  CHECK(server.control_command({"scale", "3"}).status == 0);
  CHECK(server.wait_ready(3));
  CHECK(server.control_command({"scale", "+1"}).status == 0);
  CHECK(server.wait_ready(4));
  CHECK(server.control_command({"scale", "-2"}).status == 0);
  CHECK(server.wait_ready(2));
  for (const char* wrong : {"0", "x", "1000", ""}) {
    const ProgramResult result = server.control_command({"scale", wrong});
    INFO(wrong << ": " << result.all());
    CHECK(result.status != 0);
    CHECK_FALSE(result.all().empty());
  }
  CHECK(server.wait_ready(2));
}

TEST_CASE("scaling up and down under load fails no request", "[scale][load]") {
  const ServerProcess server({.workers = 1});
  LoadGenerator kept(server.address(), {.threads = 2});
  LoadGenerator fresh(server.address(), {.threads = 3, .keep_alive = false});
  for (const int count : {3, 1, 2, 1}) {
    REQUIRE(fresh.wait_for(100));
    REQUIRE(server.control_command({"scale", std::to_string(count)}).status == 0);
    REQUIRE(server.wait_ready(count));
  }
  REQUIRE(fresh.wait_for(100));
  REQUIRE(kept.wait_for(100));
  const LoadReport of_kept = kept.stop();
  const LoadReport of_fresh = fresh.stop();
  INFO(of_kept.text() << "; " << of_fresh.text());
  CHECK(of_kept.failed() == 0);
  CHECK(of_fresh.failed() == 0);
}
