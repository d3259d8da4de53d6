// `pronghorn crashes`.
#include <sys/stat.h>

#include <filesystem>

#include "integration/crashes/reported_crash.h"
#include "support/catch.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"
#include "support/temp_dir.h"

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

// It showed an id of our own, which was in no log.
TEST_CASE("a crash is shown with the id that a trusted proxy has chosen", "[crash][report][commands]") {
  ServerProcess server({.workers = 1, .arguments = {"--trusted-proxies", "127.0.0.1"}, .environment = kPlainSignals});
  HttpConnection connection(server.address(), 15s);
  CHECK(connection.request("POST", "/crash", {{"X-Request-Id", "proxy-7"}}).status == 500);
  (void)wait_report(server, false);
  CHECK(crashes_command(server, {"last"}).out.find("POST /crash id=proxy-7") != std::string::npos);
}

// A user without the right to read the directory was told that there are no reports.
TEST_CASE("a directory of crash reports that cannot be read is not an empty one", "[crash][commands]") {
  const TempDir directory;
  write_file(directory / "data", "");
  for (const char* name : {"", "last"}) {
    const ProgramResult result = run_program({program_path(), "crashes", name, "--data-dir", directory / "data"});
    INFO(result.all());
    CHECK(result.status == 1);
    CHECK(result.err.find("cannot read " + (directory / "data/crashes")) != std::string::npos);
  }
}

TEST_CASE("a directory and a pipe among the crash reports do not stop their list", "[crash][commands]") {
  const TempDir directory;
  std::filesystem::create_directories(directory / "crashes/crash-20260101T000000Z-0-1.json");
  REQUIRE(::mkfifo((directory / "crashes/crash-20260101T000000Z-0-2.json").c_str(), 0600) == 0);
  const ProgramResult result = run_program({program_path(), "crashes", "--data-dir", directory.path()});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(result.out.find("crash-20260101T000000Z-0-1") != std::string::npos);
  CHECK(result.out.find("not a report") != std::string::npos);
}
