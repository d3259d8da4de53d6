// `pronghorn upgrade` and SIGUSR2: the supervisor's program is replaced in place.
#include <signal.h>

#include <filesystem>

#include "support/catch.h"
#include "support/processes/deployed_program.h"
#include "support/processes/server_process.h"

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

TEST_CASE("pronghorn upgrade replaces the program and the workers, and says so", "[upgrade]") {
  const ServerProcess server({.workers = 2});
  const auto workers = server.worker_pids();
  const ProgramResult result = server.control_command({"upgrade"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(result.out.find("all workers are of generation 2") != std::string::npos);
  CHECK(server.status().at("server").at("pid") == server.pid());
  CHECK(server.worker_pids() != workers);
  CHECK(get(server.address(), "/hello").status == 200);
}

// The server ended.
TEST_CASE("a program that is not Pronghorn is refused, by upgrade and by USR2, and nothing changes", "[upgrade]") {
  const DeployedProgram program;
  const ServerProcess server(
      {.command = {program.path, "serve", app_path("demo")}, .workers = 2, .environment = program.environment});
  const auto workers = server.worker_pids();
  program.deploy("/bin/true");
  CHECK(eventually(10s, [&] { return server.log_has("was replaced: workers that start from now on"); }));
  const ProgramResult result = server.control_command({"upgrade"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(result.err.find("does not answer as a Pronghorn that can take over") != std::string::npos);
  server.signal(SIGUSR2);
  CHECK(eventually(10s, [&] { return server.log_lines("the program is not replaced: ").size() == 2; }));
  CHECK(server.worker_pids() == workers);
  CHECK(get(server.address(), "/hello").status == 200);

  program.deploy(program_path());
  const ProgramResult good = server.control_command({"upgrade"});
  INFO(good.all());
  CHECK(good.status == 0);
}

// A package replaces the library beside a program that does not change; killed workers then failed for ever, unexplained.
TEST_CASE("a library that is replaced on disk is noticed and said, and an upgrade takes it", "[upgrade]") {
  namespace fs = std::filesystem;
  const TempDir directory;
  const fs::path built = build_path("/libpronghorn.so");
  const std::string library = directory / fs::read_symlink(built).filename().string();
  const auto deploy = [&library](const std::string& from) {
    fs::copy_file(from, library + ".new", fs::copy_options::overwrite_existing);
    fs::rename(library + ".new", library);
  };
  deploy(built);
  const ServerProcess server({.workers = 2, .environment = {{"LD_LIBRARY_PATH", directory.path()}}});
  const std::string line = library +
                           " was replaced: workers that start from now on are of another build than the "
                           "supervisor; run \"pronghorn upgrade\"";
  deploy(source_path("/README.md"));
  CHECK(eventually(10s, [&] { return server.log_has(line); }));
  REQUIRE(::kill(server.worker_pids().front(), SIGKILL) == 0);
  CHECK(eventually(10s, [&] { return server.log_has("invalid ELF header"); }));
  for (int i = 0; i < 5; ++i) CHECK(get(server.address(), "/hello").status == 200);
  const ProgramResult refused = server.control_command({"upgrade"});
  INFO(refused.all());
  CHECK(refused.status == 1);

  deploy(built);
  CHECK(eventually(10s, [&] { return server.log_lines(line).size() == 2; }));
  const ProgramResult result = server.control_command({"upgrade"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(server.log_lines(line).size() == 2);
}

// /usr/bin/yes filled the disk with five gigabytes of log.
TEST_CASE("what a program that is not Pronghorn prints does not fill the log", "[upgrade]") {
  const TempDir directory;
  const std::string noisy = directory / "noisy";
  write_file(noisy, "#!/bin/sh\necho I am a shell\ni=0\nwhile [ $i -lt 20000 ]; do echo noise; i=$((i+1)); done\n");
  std::filesystem::permissions(noisy, std::filesystem::perms::owner_all);
  const DeployedProgram program;
  const ServerProcess server(
      {.command = {program.path, "serve", app_path("demo")}, .workers = 1, .environment = program.environment});
  program.deploy(noisy);
  const ProgramResult result = server.control_command({"upgrade"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(result.err.find("it printed \"I am a shell\"") != std::string::npos);
  CHECK_FALSE(server.log_has("noise"));
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("an upgrade whose application does not load is refused before the program is replaced", "[upgrade]") {
  const TempDir directory;
  const std::string app = directory / "app.so";
  std::filesystem::copy_file(app_path("hello"), app);
  const ServerProcess server({.app = app, .workers = 1});
  const auto workers = server.worker_pids();
  write_file(app + ".new", "garbage");
  std::filesystem::rename(app + ".new", app);
  const ProgramResult result = server.control_command({"upgrade"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(result.err.find("the application does not load") != std::string::npos);
  CHECK(server.worker_pids() == workers);
}

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
