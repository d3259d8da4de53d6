// A machine that runs out of memory or disk: what it costs.
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "support/catch.h"
#include "support/processes/server_process.h"
#include "support/system/memory_group.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

TEST_CASE("a handler that exhausts the memory costs its worker, and the exit says why", "[chaos]") {
  const MemoryGroup group(1U << 30);
  if (!group.ok()) {
    WARN("skipped: control groups cannot be made here");
    return;
  }
  // A virtual machine may need half a minute for this memory, if its host has to find it first.
  const ServerProcess server({.command = group.serve("apps/grows"),
                              .workers = 2,
                              .arguments = {"--worker-timeout", "5m"},
                              .environment = kPlainSignals});
  const auto before = server.worker_pids();
  HttpConnection connection(server.address(), 120s);
  CHECK(connection.request("POST", "/grow?mib=3000").status == 503);
  REQUIRE(eventually(20s, [&] { return server.wait_ready(2, 0ms) && server.worker_pids() != before; }));
  const auto status = server.status();
  INFO(status.dump());
  // Its replacement may have begun before it ended, which counts as well. While the supervisor kills it, the kernel may
  // choose the other worker.
  const auto& totals = status.at("totals");
  const int replaced = totals.at("restarts").get<int>() + totals.at("recycled").get<int>();
  CHECK(replaced >= 1);
  CHECK(replaced <= 3);
  // By the kernel, or by the supervisor if it was faster.
  const std::string why = "the cgroup's memory limit (1024 MiB) was";
  CHECK(eventually(20s, [&] { return !server.log_lines(why).empty(); }));
  const ProgramResult crashes = run_program({program_path(), "crashes", "--data-dir", server.file("data")});
  INFO(crashes.all());
  CHECK(crashes.out.find(why) != std::string::npos);
  // The other worker may be what the kernel chooses now.
  std::string response;
  const bool served = eventually(20s, [&] {
    try {
      response = std::to_string(get(server.address(), "/").status);
    } catch (const ClientError& error) {
      response = error.what();
    }
    return response == "200";
  });
  INFO(response);
  CHECK(served);
}

TEST_CASE("when memory runs out the kernel prefers workers to the supervisor and to guardians", "[chaos]") {
  const ServerProcess server;
  const auto score = [](pid_t pid) { return std::stoi(read_file("/proc/" + std::to_string(pid) + "/oom_score_adj")); };
  const int supervisor = score(server.pid());
  const auto workers = server.worker_pids();
  for (const pid_t pid : server.processes()) {
    const bool is_worker = std::ranges::find(workers, pid) != workers.end();
    CHECK(score(pid) == (is_worker ? std::min(supervisor + 300, 1000) : supervisor));
  }
}

TEST_CASE("logs that cannot be written cost their lines, and nothing else", "[chaos]") {
  // The log begins as the file that we read, and is opened again as a device that is always full.
  const ServerProcess server({.command = {"/bin/sh", "-c", "ln -s log server.log; exec \"$0\" \"$@\"", program_path(),
                                          "serve", app_path("demo")},
                              .workers = 2,
                              .arguments = {"--log-file", "server.log", "--access-log", "/dev/full"}});
  std::filesystem::remove(server.file("server.log"));
  std::filesystem::create_symlink("/dev/full", server.file("server.log"));
  server.signal(SIGUSR1);
  const auto to_full = [](pid_t pid) {
    for (const auto& fd : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(fd, gone) == "/dev/full") return true;
    }
    return false;
  };
  REQUIRE(eventually(5s, [&] { return to_full(server.pid()); }));
  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
  for (int i = 0; i < 200; ++i) REQUIRE(get(server.address(), "/hello").status == 200);
  CHECK(eventually(10s, [&] { return server.status().at("totals").at("restarts") == 1 && server.wait_ready(2, 0ms); }));
  CHECK_FALSE(server.log_has("signal 9"));  // it has not been written, so the log was full
}

// Workers that were replaced could not start any more, until none was left.
TEST_CASE("logs that can no longer be opened do not keep workers from being replaced", "[chaos]") {
  const ServerProcess server(
      {.command = {"/bin/sh", "-c", "ln -s log server.log; exec \"$0\" \"$@\"", program_path(), "serve",
                   app_path("demo")},
       .workers = 2,
       .arguments = {"--log-file", "server.log", "--access-log", "access.log", "--balance", "round-robin"}});
  for (const char* name : {"server.log", "access.log"}) {
    std::filesystem::remove(server.file(name));
    std::filesystem::create_directory(server.file(name));
  }
  for (const pid_t worker : server.worker_pids()) REQUIRE(::kill(worker, SIGKILL) == 0);
  REQUIRE(eventually(10s, [&] { return server.log_lines("is ready again").size() == 2; }));
  REQUIRE(::kill(server.status().at("distributor").at("pid").get<pid_t>(), SIGKILL) == 0);
  CHECK(eventually(10s, [&] { return server.log_lines("is ready again").size() == 3; }));
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(server.log_lines("the log cannot be opened: logging to standard error").size() == 3);
  CHECK(server.log_lines("the access log cannot be opened: writing to standard output").size() == 2);
}

// SIGXFSZ ended each worker anew.
TEST_CASE("a log that has reached the limit of file sizes costs its lines, and nothing else", "[chaos]") {
  constexpr const char* kLimited = R"(truncate -s 2147483648 full.log; ulimit -f 4194304; exec "$0" "$@")";  // 2 GiB
  const ServerProcess server({.command = {"/bin/sh", "-c", kLimited, program_path(), "serve", app_path("demo")},
                              .workers = 2,
                              .arguments = {"--access-log", "full.log"}});
  const auto workers = server.worker_pids();
  for (int i = 0; i < 40; ++i) REQUIRE(get(server.address(), "/hello").status == 200);
  CHECK(server.worker_pids() == workers);
  CHECK(std::filesystem::file_size(server.file("full.log")) == 2147483648);
}

// The log said "exit status 1; see redis.log", and that file was empty.
TEST_CASE("an embedded Redis that cannot write to its disk says so in the server's log", "[chaos][redis]") {
  const TempDir data;
  if (::geteuid() != 0 || ::mount("tmpfs", data.path().c_str(), "tmpfs", 0, "size=16k,mode=0700") != 0) {
    WARN("skipped: tmpfs cannot be mounted here");
    return;
  }
  {
    std::ofstream(data / "filler") << std::string(64 * 1024, 'x') << std::flush;
    const ServerProcess server({.workers = 1, .redis = {}, .arguments = {"--data-dir", data.path()}});
    CHECK(eventually(15s, [&] { return server.log_has("No space left on device"); }));
    CHECK(get(server.address(), "/hello").status == 200);
  }
  CHECK(::umount(data.path().c_str()) == 0);
}
