// SIGUSR2: the supervisor's program is replaced in place.
#include <signal.h>

#include "support/catch.h"
#include "support/server_process.h"

using namespace pronghorn::test;

namespace {

// Waits until the new image has replaced the workers, too.
void replace_program(const ServerProcess& server, int generation) {
  server.signal(SIGUSR2);
  REQUIRE(eventually(20s, [&] { return server.status().at("server").at("generation") == generation; }));
}

std::string claim_of(const ServerProcess& server) {
  return "@pronghorn listens on 127.0.0.1 port " + std::to_string(server.address().port);
}

}  // namespace

TEST_CASE("USR2 keeps the pid, the port, the locks and the embedded Redis", "[upgrade]") {
  const TempDir directory;
  const ServerProcess server({.workers = 2, .redis = {}});
  REQUIRE(server.wait_redis());
  Browser browser(server.address());
  CHECK(browser.get("/visits").json().at("visits") == 1);
  REQUIRE(read_file("/proc/net/unix").find(claim_of(server)) != std::string::npos);

  for (int generation = 2; generation <= 3; ++generation) replace_program(server, generation);
  REQUIRE(server.wait_ready(2));
  REQUIRE(server.wait_redis());
  CHECK(server.status().at("server").at("pid") == server.pid());
  CHECK(browser.get("/visits").json().at("visits") == 2);
  CHECK(read_file("/proc/net/unix").find(claim_of(server)) != std::string::npos);
  CHECK(server.log_lines("redis is up").size() == 1);
  const ProgramResult second = run_program({program_path(), "serve", app_path("demo"), "--listen", "127.0.0.1:0",
                                            "--runtime-dir", server.file("run"), "--data-dir", directory / "data"});
  INFO(second.all());
  CHECK(second.status == 2);
  CHECK(second.err.find("another server (pid " + std::to_string(server.pid()) + ") is using it") != std::string::npos);
  CHECK(server.control_command({"status"}).status == 0);
}

TEST_CASE("USR2 under a balance that passes connections goes on serving", "[upgrade]") {
  const ServerProcess server({.workers = 2, .arguments = {"--balance", "round-robin"}});
  CHECK(get(server.address(), "/hello").status == 200);
  replace_program(server, 2);
  for (int i = 0; i < 10; ++i) CHECK(get(server.address(), "/hello").status == 200);
}
