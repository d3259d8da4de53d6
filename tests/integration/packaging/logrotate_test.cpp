// deploy/logrotate/pronghorn on the access log of a server under load.
#include <algorithm>
#include <filesystem>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

std::string with(std::string text, const std::string& old, const std::string& fresh) {
  const std::size_t at = text.find(old);
  REQUIRE(at != std::string::npos);
  return text.replace(at, old.size(), fresh);
}

std::uint64_t lines_of(const std::string& path) {
  const std::string text = read_file(path);
  return static_cast<std::uint64_t>(std::ranges::count(text, '\n'));
}

}  // namespace

TEST_CASE("logrotate with deploy/logrotate rotates the access log and loses no line", "[packaging]") {
  const std::string logrotate = "/usr/sbin/logrotate";
  if (!std::filesystem::exists(logrotate)) {
    WARN("skipped: logrotate is not installed (./scripts/setup deploy)");
    return;
  }
  const TempDir logs;
  const ServerProcess server({.workers = 2, .arguments = {"--access-log", logs / "access.log"}});
  std::string rules = read_file(source_path("/deploy/logrotate/pronghorn"));
  rules = with(std::move(rules), "/var/log/pronghorn/*.log", logs.path().string() + "/*.log");
  rules = with(std::move(rules), "systemctl kill --kill-who=main --signal=USR1 pronghorn.service",
               "kill -USR1 " + std::to_string(server.pid()));
  const TempDir folder;
  write_file(folder / "pronghorn", rules);
  std::filesystem::permissions(folder / "pronghorn", std::filesystem::perms(0644));

  LoadGenerator load(server.address(), {.threads = 2});
  REQUIRE(load.wait_for(200));
  for (int turn = 0; turn < 2; ++turn) {
    const ProgramResult rotated =
        run_program({logrotate, "--force", "--state", folder / "state", folder / "pronghorn"});
    INFO(rotated.all());
    REQUIRE(rotated.status == 0);
    REQUIRE(eventually(10s, [&] { return lines_of(logs / "access.log") > 0; }));
    REQUIRE(load.wait_for(200));
  }
  const LoadReport report = load.stop();
  CHECK(report.failed() == 0);
  CHECK(std::filesystem::exists(logs / "access.log.2.gz"));  // compressed in the second turn
  const ProgramResult unpacked = run_program({"/bin/gzip", "-d", logs / "access.log.2.gz"});
  REQUIRE(unpacked.status == 0);
  const auto written = [&] {
    return lines_of(logs / "access.log") + lines_of(logs / "access.log.1") + lines_of(logs / "access.log.2");
  };
  CHECK(eventually(5s, [&] { return written() == report.succeeded; }));
}
