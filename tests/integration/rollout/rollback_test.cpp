// Rollouts that return to the previous generation: by `pronghorn rollback`, or because a new worker fails.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "integration/rollout/deployment.h"
#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// A plugin at a path of its own, which a test overwrites in place.
struct Plugin {
  TempDir directory;
  std::string path = directory / "app.so";
  explicit Plugin(const std::string& name) { overwrite(read_file(app_path(name))); }
  void overwrite(const std::string& bytes) const { write_file(path, bytes); }
};

}  // namespace

TEST_CASE("rollback returns to the previous generation, and then forward again", "[rollback]") {
  const Deployment deployment(2, "fail_percent = 0");
  const ServerProcess& server = deployment.server;
  const ProgramResult none = server.control_command({"rollback"});
  CHECK(none.status == 1);
  CHECK(says(none, "there is no previous generation to return to"));

  deployment.configure("fail_percent = 100");
  REQUIRE(deployment.reload().status == 0);
  CHECK(soon(server, "/", 500));
  const ProgramResult back = server.control_command({"rollback", "--wait"});
  INFO(back.all());
  CHECK(back.status == 0);
  CHECK(says(back, "all workers are of generation 1"));
  CHECK(soon(server, "/", 200));
  CHECK(server.status().at("server").at("generation") == 1);
  CHECK(server.status().at("server").at("generations") == nlohmann::json({1}));

  CHECK(server.control_command({"rollback", "--wait"}).status == 0);
  CHECK(soon(server, "/", 500));
  CHECK(server.status().at("server").at("generation") == 2);
  CHECK(deployment.reload().status == 0);  // a number is never used again for something else
  CHECK(server.status().at("server").at("generation") == 3);
}

TEST_CASE("an application that was overwritten in place keeps running and can be rolled back to", "[rollback]") {
  const Plugin plugin("hello");
  const ServerProcess server({.app = plugin.path, .workers = 2});
  const auto workers = server.worker_pids();
  plugin.overwrite("garbage");  // truncates the file: were it mapped, the workers would get SIGBUS
  const ProgramResult refused = server.control_command({"reload", "--wait"});
  INFO(refused.all());
  CHECK(refused.status == 1);
  CHECK(says(refused, "app.so is not a shared library"));
  CHECK_FALSE(says(refused, "/apps/"));
  for (int i = 0; i < 10; ++i) CHECK(get(server.address(), "/hello/Ann").body == "Hello, Ann!\n");
  REQUIRE(::kill(workers[0], SIGKILL) == 0);  // its replacement loads the application, not the garbage
  REQUIRE(eventually(10s, [&] { return server.worker_pids() != workers && server.wait_ready(2, 0ms); }));
  for (int i = 0; i < 10; ++i) CHECK(get(server.address(), "/hello/Ann").body == "Hello, Ann!\n");

  plugin.overwrite(read_file(app_path("apps/deadline")));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(soon(server, "/ends", "in time"));
  CHECK(server.control_command({"rollback", "--wait"}).status == 0);
  CHECK(soon(server, "/hello/Ann", "Hello, Ann!\n"));
}

TEST_CASE("copies of applications that no rollback can reach are deleted", "[rollback]") {
  const Deployment deployment(2);
  const auto copies = [&] {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(deployment.server.file("run/apps"))) {
      const std::string name = entry.path().filename();
      names.push_back(name.substr(name.find('.') + 1));
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  CHECK(copies() == std::vector<std::string>{"1-rollouts.so"});
  // When the other slots' workers have ended, and their exits are explained.
  const std::vector<std::string> kept{"2-rollouts.so", "3-rollouts.so"};
  CHECK(deployment.reload().status == 0);
  CHECK(deployment.reload().status == 0);
  CHECK(eventually(10s, [&] { return copies() == kept; }));
  deployment.configure("end_in_slot = 1");
  CHECK(deployment.reload().status == 1);
  CHECK(eventually(10s, [&] { return copies() == kept; }));
}

TEST_CASE("a rollback works after the supervisor's program was replaced", "[rollback][upgrade]") {
  const Deployment deployment(1, "fail_percent = 0");
  deployment.configure("fail_percent = 100");
  REQUIRE(deployment.reload().status == 0);
  deployment.configure("fail_percent = 0");
  deployment.server.signal(SIGUSR2);  // it ends with a rollout of generation 3
  REQUIRE(eventually(20s, [&] { return all_of_generation(deployment.server, 3); }));
  CHECK(deployment.server.control_command({"rollback", "--wait"}).status == 0);  // to 2
  CHECK(all_of_generation(deployment.server, 2));
  CHECK(soon(deployment.server, "/", 500));
}

TEST_CASE("a rollout that fails is undone", "[rollback]") {
  const Deployment deployment(3);
  deployment.configure("end_in_slot = 2");
  LoadGenerator load(deployment.server.address(), {.target = "/", .threads = 3, .keep_alive = false});
  const ProgramResult result = deployment.reload();
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(says(result,
             "generation 2 is rolled back: worker 2, newly started, did not become ready: exit status 9; "
             "every worker is of generation 1"));
  CHECK(all_of_generation(deployment.server, 1));
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.failed() == 0);
  deployment.configure("");
  CHECK(deployment.reload().status == 0);
  CHECK(deployment.server.status().at("server").at("generation") == 3);
}

TEST_CASE("a new worker that is killed before it is ready ends the rollout, and the old one serves", "[rollback]") {
  const Deployment deployment(1);
  const ServerProcess& server = deployment.server;
  const pid_t old = server.worker_pids().at(0);
  deployment.configure("start_ms = 5000");
  REQUIRE(server.control_command({"reload"}).status == 0);
  pid_t successor = 0;
  REQUIRE(eventually(10s, [&] {
    for (const pid_t pid : children_without_guardians(server.pid())) successor = pid != old ? pid : successor;
    return successor != 0;
  }));
  REQUIRE(::kill(successor, SIGKILL) == 0);
  CHECK(eventually(10s, [&] { return server.log_has("worker 0, newly started, did not become ready: signal 9"); }));
  CHECK(get(server.address(), "/").status == 200);
  CHECK(server.worker_pids() == std::vector<pid_t>{old});
}

TEST_CASE("a reload to an application that crashes at load, or is never ready, changes nothing", "[rollback]") {
  const Plugin plugin("hello");
  const ServerProcess server({.app = plugin.path, .workers = 2, .arguments = {"--boot-timeout", "3s"}});
  const auto workers = server.worker_pids();
  for (const auto& [name, reason] :
       {std::pair{"apps/aborts_at_load", "the application does not load: signal 6"},
        std::pair{"apps/exits_at_load", "the application does not load: it exits while it is loaded (exit status 0)"},
        {"apps/never_ready", "it was not ready after 3 s (boot_timeout)"}}) {
    plugin.overwrite(read_file(app_path(name)));
    const ProgramResult result = server.control_command({"reload", "--wait"});
    INFO(result.all());
    CHECK(result.status == 1);
    CHECK(says(result, reason));
    CHECK(server.worker_pids() == workers);
    for (int i = 0; i < 10; ++i) CHECK(get(server.address(), "/hello/Ann").body == "Hello, Ann!\n");
  }
}

// It said that the application does not load.
TEST_CASE("a reload whose log cannot be opened is refused with the file and the reason", "[rollback]") {
  const Deployment deployment(1);
  for (const std::string option : {"log_file", "access_log"}) {
    write_file(deployment.file, option + " = \"/nonexistent/x.log\"\n");
    const ProgramResult result = deployment.reload();
    INFO(result.all());
    CHECK(result.status == 1);
    CHECK(says(result, "pronghorn: " + option + " /nonexistent/x.log: No such file or directory; name a file"));
    CHECK(all_of_generation(deployment.server, 1));
  }
}

TEST_CASE("reloads and rollbacks under load fail no request", "[rollback][load]") {
  const Deployment deployment(2);
  const ServerProcess& server = deployment.server;
  LoadGenerator kept(server.address(), {.target = "/", .threads = 3});
  LoadGenerator fresh(server.address(), {.target = "/", .threads = 3, .keep_alive = false});
  for (int i = 0; i < 3; ++i) {
    REQUIRE(kept.wait_for(100));
    REQUIRE(fresh.wait_for(100));
    CHECK(server.control_command({"reload", "--wait"}).status == 0);
    CHECK(server.control_command({"rollback", "--wait"}).status == 0);
  }
  const LoadReport of_kept = kept.stop();
  const LoadReport of_fresh = fresh.stop();
  std::cout << "three reloads and rollbacks, kept-alive connections: " << of_kept.text() << "\n"
            << "three reloads and rollbacks, new connections: " << of_fresh.text() << "\n";
  INFO(of_kept.text() << "; " << of_fresh.text());
  CHECK(of_kept.failed() == 0);
  CHECK(of_fresh.failed() == 0);
}
