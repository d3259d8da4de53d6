// `pronghorn drill`: a failure on purpose, and the figures that it prints.
#include <cstdlib>

#include "support/catch.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

nlohmann::json drill(const ServerProcess& server, const std::string& how) {
  const ProgramResult result = server.control_command({"drill", how, "--json", "--rate", "500", "--path", "/hello"});
  INFO(result.all());
  REQUIRE(result.status == 0);
  return nlohmann::json::parse(result.out);
}

void check_repaired(const ServerProcess& server, const nlohmann::json& report, const std::string& signal) {
  INFO(report.dump());
  CHECK(report.at("requests").at("answered") > 400);
  CHECK(report.at("requests").at("answered").get<int>() + report.at("lost").at("total").get<int>() ==
        report.at("requests").at("sent"));
  CHECK(report.at("lost").at("total") == 0);
  CHECK(report.at("connections_handed_over") > 0);
  CHECK(report.at("survival").get<std::string>().find(" handed over") != std::string::npos);
  CHECK(report.at("responses_5xx") == 0);
  CHECK(report.at("repaired_in_ms") > 0);
  const auto worker = server.worker(report.at("slot"));
  CHECK(worker.at("pid") == report.at("new_pid"));
  CHECK(worker.at("restarts") == 1);
  CHECK(worker.at("last_exit").at("reason").get<std::string>().find(signal) != std::string::npos);
}

}  // namespace

TEST_CASE("a drill kills a worker under load, and no client notices", "[command][drill]") {
  const ServerProcess server({.workers = 2});
  check_repaired(server, drill(server, "kill"), "SIGKILL");
}

// PRONGHORN_DRILLS=20 runs so many, with 5,000 requests a second.
TEST_CASE("drills in a row lose no request", "[command][drill]") {
  const char* const wanted = std::getenv("PRONGHORN_DRILLS");
  const int drills = wanted == nullptr ? 2 : std::atoi(wanted);
  const std::string rate = wanted == nullptr ? "500" : "5000";
  const ServerProcess server({.workers = 2});
  for (int number = 1; number <= drills; ++number) {
    const ProgramResult result =
        server.control_command({"drill", "kill", "--json", "--rate", rate, "--path", "/hello"}, 120s);
    INFO("drill " << number << " of " << drills << ": " << result.all());
    REQUIRE(result.status == 0);
    const auto report = nlohmann::json::parse(result.out);
    CHECK(report.at("lost").at("total") == 0);
    CHECK(report.at("requests").at("answered") == report.at("requests").at("sent"));
    CHECK(report.at("connections_handed_over") > 0);
    CHECK(server.wait_ready(2));
  }
}

TEST_CASE("a drill makes a worker crash", "[command][drill]") {
  const ServerProcess server({.workers = 2, .environment = kPlainSignals});
  check_repaired(server, drill(server, "segv"), "SIGSEGV");
}

TEST_CASE("a drill stops a worker, and the watchdog kills it", "[command][drill]") {
  const ServerProcess server({.workers = 2, .arguments = {"--worker-timeout", "1s"}});
  const auto report = drill(server, "stall");
  INFO(report.dump());
  CHECK(report.at("repaired_in_ms") > 900);
  CHECK(server.worker(report.at("slot")).at("pid") == report.at("new_pid"));
}

TEST_CASE("an invalid drill is refused in one line", "[command][drill]") {
  const ServerProcess server;
  const auto refused = [&server](std::vector<std::string> arguments, const std::string& expected) {
    arguments.insert(arguments.begin(), "drill");
    const ProgramResult result = server.control_command(arguments);
    INFO(result.all());
    CHECK(result.status == 2);
    CHECK(result.out.empty());
    CHECK(result.err.find(expected) != std::string::npos);
    CHECK(std::ranges::count(result.err, '\n') == 1);
  };
  refused({"burn"}, "use kill, segv or stall");
  refused({"kill", "--rate", "0"}, "--rate");
  refused({"kill", "--connections", "many"}, "--connections");
  refused({"kill", "--path", "hello"}, "begins with '/'");
  CHECK(server.status().at("totals").at("restarts") == 0);
}
