// Pronghorn in a program with its own main(): examples/embedded.
#include <signal.h>

#include <algorithm>

#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

const std::string kEmbedded = build_path("/examples/embedded");

}  // namespace

TEST_CASE("a program with its own main serves with the same options and commands", "[embedding]") {
  ServerProcess server({.command = {kEmbedded, "serve"}, .workers = 2});
  CHECK(get(server.address(), "/").body == "Hello from a program of my own\n");
  CHECK(server.status().at("workers").size() == 2);
  const ProgramResult routes = run_program({kEmbedded, "routes"});
  CHECK(routes.status == 0);
  CHECK(routes.out.find("/hits") != std::string::npos);
  const ProgramResult status = run_program({kEmbedded, "status", "--control", server.control()});
  CHECK(status.status == 0);
  CHECK(server.stop() == ExitStatus{.code = 0, .signal = 0});
}

TEST_CASE("a program with its own main needs no command to serve", "[embedding]") {
  const ServerProcess server({.command = {kEmbedded}, .workers = 1});
  CHECK(get(server.address(), "/").status == 200);
}

TEST_CASE("an embedding program keeps sessions, and its workers are replaced", "[embedding]") {
  const ServerProcess server({.command = {kEmbedded, "serve"}, .workers = 2, .redis = {}});
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  CHECK(browser.get("/hits").json().at("hits") == 1);
  const auto victim = server.worker_pids().at(0);
  REQUIRE(::kill(victim, SIGKILL) == 0);
  REQUIRE(eventually(10s, [&] { return server.worker_pids().at(0) != victim && server.wait_ready(2, 0ms); }));
  REQUIRE(eventually(5s, [&] { return browser.get("/hits").status == 200; }));
}

TEST_CASE("a program compiled for another version of Pronghorn exits with one clear sentence", "[embedding]") {
  const std::string program = build_path("/tests/apps/embedded_other_api");
  for (const char* command : {"serve", "routes", "status"}) {
    const ProgramResult result = run_program({program, command});
    CHECK(result.status == 3);
    CHECK(result.out.empty());
    CHECK(result.err.starts_with("pronghorn: embedded_other_api: built for Pronghorn API "));
    CHECK(std::ranges::count(result.err, '\n') == 1);
  }
}
