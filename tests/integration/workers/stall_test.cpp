// Loops that stand still for stall_threshold.
#include "support/catch.h"
#include "support/server_process.h"

using namespace pronghorn::test;

TEST_CASE("a loop that stands still is counted and logged with its request and stack", "[crash][stall]") {
  const ServerProcess server({.workers = 1});
  CHECK(server.worker(0).at("stalls") == 0);
  CHECK(get(server.address(), "/block?ms=400").status == 200);
  CHECK(eventually(5s, [&] { return server.log_has("has stood still"); }));
  const auto lines = server.log_lines("has stood still for");
  INFO(server.log());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("GET /block") != std::string::npos);
  CHECK(lines[0].find("demo::(anonymous namespace)::block") != std::string::npos);
  CHECK(eventually(5s, [&] { return server.log_lines("the loop stood still for ").size() == 1; }));
  CHECK(server.worker(0).at("stalls") == 1);
  CHECK(get(server.address(), "/metrics").body.find("pronghorn_loop_stalls_total{slot=\"0\"} 1") != std::string::npos);
  CHECK(get(server.address(), "/block?ms=400").status == 200);  // counted too; its stack would be too much
  CHECK(server.worker(0).at("stalls") == 2);
  CHECK(server.log_lines("has stood still for").size() == 1);
}

TEST_CASE("a worker that waits for events has no stalls", "[crash][stall]") {
  const ServerProcess server({.workers = 1, .arguments = {"--stall-threshold", "20ms"}});
  CHECK(get(server.address(), "/slow?ms=600").status == 200);
  CHECK_FALSE(server.log_has("stood still"));
}
