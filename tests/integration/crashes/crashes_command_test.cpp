// `pronghorn crashes`.
#include <filesystem>

#include "integration/crashes/reported_crash.h"
#include "support/catch.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

ProgramResult crashes_command(const ServerProcess& server, std::vector<std::string> arguments) {
  std::vector<std::string> command{program_path(), "crashes", "--data-dir", server.file("data")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_program(command);
}

}  // namespace

TEST_CASE("pronghorn crashes lists the reports and shows one", "[crash][report][commands]") {
  ServerProcess server({.workers = 1, .environment = kPlainSignals});
  CHECK(crashes_command(server, {}).out.starts_with("no crash reports in "));
  CHECK(crashes_command(server, {"last"}).err.find("no crash reports in ") != std::string::npos);
  crash(server, "segv");
  (void)wait_report(server, true);
  REQUIRE(server.stop());  // they are there without a server, too
  const auto list = crashes_command(server, {});
  INFO(list.all());
  CHECK(list.status == 0);
  CHECK(list.out.find("SIGSEGV") != std::string::npos);
  CHECK(list.out.find("POST /crash") != std::string::npos);
  CHECK(list.out.find("demo::(anonymous namespace)::crash") != std::string::npos);
  const auto shown = crashes_command(server, {"last"});
  INFO(shown.all());
  CHECK(shown.status == 0);
  CHECK(shown.out.find("backtrace:") != std::string::npos);
  CHECK(shown.out.find("crash.cpp:") != std::string::npos);
  const std::string name = std::filesystem::path(report_files(server).at(0)).stem();
  CHECK(crashes_command(server, {name}).out == shown.out);
  CHECK(nlohmann::json::parse(crashes_command(server, {"--json"}).out).size() == 1);
  const auto none = crashes_command(server, {"crash-of-nobody"});
  CHECK(none.status == 1);
  CHECK(none.err.find("no crash report \"crash-of-nobody\"") != std::string::npos);
}
