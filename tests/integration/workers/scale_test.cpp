// More and fewer workers while the server runs.
#include <signal.h>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/server_process.h"

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
  CHECK(eventually(5s, [&] { return children_without_guardians(server.pid()).size() == 1; }));
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

// Each worker inherits every listener: with 40 of them and a limit of 64 descriptors no worker could start.
TEST_CASE("scaling above the limit of descriptors is refused and changes nothing", "[scale]") {
  const ServerProcess server(
      {.command = {"/bin/sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\"", program_path(), "serve", app_path("demo")},
       .workers = 2});
  const ProgramResult refused = server.control_command({"scale", "40"});
  INFO(refused.all());
  CHECK(refused.status == 1);
  CHECK(refused.err.find("the limit is 64") != std::string::npos);
  CHECK(server.control_command({"scale", "8"}).status == 0);
  REQUIRE(server.wait_ready(8));
  CHECK(server.control_command({"scale", "2"}).status == 0);
  REQUIRE(server.wait_ready(2));
  const auto pids = server.worker_pids();
  REQUIRE(::kill(pids.at(0), SIGKILL) == 0);
  CHECK(eventually(10s, [&] { return server.worker_pids().at(0) != pids.at(0) && server.wait_ready(2, 0ms); }));
  CHECK(server.worker_pids().at(1) == pids.at(1));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
}

TEST_CASE("a slot that drained during a reload comes back with the new configuration", "[scale][reload]") {
  const TempDir directory;
  const std::string file = directory / "pronghorn.toml";
  write_file(file, "max_body = \"1KiB\"\n");
  const ServerProcess server({.workers = 2, .arguments = {"--config", file}});
  std::vector<HttpConnection> slow;  // so that both workers drain for a while
  for (int i = 0; i < 12; ++i) {
    slow.emplace_back(server.address()).send_raw("GET /slow?ms=4000 HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("in_flight") == 13; }));
  REQUIRE(server.control_command({"scale", "1"}).out == "1 worker\n");
  write_file(file, "max_body = \"1MiB\"\n");
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  REQUIRE(server.control_command({"scale", "2"}).status == 0);
  REQUIRE(server.wait_ready(2));
  for (const auto& worker : server.status().at("workers")) CHECK(worker.at("generation") == 2);
  for (int i = 0; i < 20; ++i) CHECK(post(server.address(), "/echo", std::string(2000, 'a')).status == 200);
}

TEST_CASE("a number of workers set by hand stays until the next reload", "[scale][reload]") {
  const ServerProcess server({.workers = 0, .arguments = {"--workers", "1..2"}});
  CHECK(server.control_command({"scale", "4"}).status == 0);
  REQUIRE(server.wait_ready(4));
  CHECK(server.log_has("autoscaling is off until the next reload"));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
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
