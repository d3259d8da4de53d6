// SIGHUP and `pronghorn reload`: every worker is replaced, the new one first, and no client notices.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

bool has_generation(const ServerProcess& server, int generation) {
  const auto status = server.status();
  return status.at("server").at("generation") == generation &&
         std::all_of(status.at("workers").begin(), status.at("workers").end(), [generation](const auto& worker) {
           return worker.at("generation") == generation && worker.at("state") == "ready";
         });
}

// A copy of an application, which a test can replace.
struct DeployedApp {
  TempDir directory;
  std::string path = directory / "app.so";
  explicit DeployedApp(const std::string& name) { deploy(app_path(name)); }
  // Like a careful deployment: renames a new file over the old name, so the mapped file is not touched.
  void deploy(const std::string& from) const {
    std::filesystem::copy_file(from, path + ".new", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::rename(path + ".new", path);
  }
};

// After a reload that must fail, nothing has changed.
void check_unchanged(const ServerProcess& server, const std::vector<pid_t>& workers) {
  CHECK(server.worker_pids() == workers);
  CHECK(server.status().at("server").at("generation") == 1);
  for (int i = 0; i < 10; ++i) CHECK(get(server.address(), "/hello/Ann").body == "Hello, Ann!\n");
}

}  // namespace

// Its check ended with the SIGABRT of its static destructors, so it could be served but never reloaded.
TEST_CASE("an application that does not exit cleanly can be reloaded, and its routes be listed", "[reload]") {
  const ServerProcess server({.app = app_path("apps/unclean_exit"), .workers = 2});
  const ProgramResult result = server.control_command({"reload", "--wait"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(has_generation(server, 2));
  CHECK(get(server.address(), "/").body == "served");
  const ProgramResult routes = run_program({program_path(), "routes", app_path("apps/unclean_exit")});
  INFO(routes.all());
  CHECK(routes.status == 0);
  CHECK(routes.out.find("GET") != std::string::npos);
}

TEST_CASE("a reload under load fails no request", "[reload][load]") {
  const ServerProcess server({.workers = 2});
  const auto before = server.worker_pids();
  LoadGenerator kept(server.address(), {.threads = 3});
  LoadGenerator fresh(server.address(), {.threads = 3, .keep_alive = false});
  LoadGenerator slow(server.address(), {.target = "/slow?ms=50", .threads = 3, .keep_alive = false});
  for (int generation = 2; generation <= 4; ++generation) {
    REQUIRE(kept.wait_for(100));
    REQUIRE(fresh.wait_for(100));
    server.signal(SIGHUP);
    REQUIRE(eventually(20s, [&] { return has_generation(server, generation); }));
  }
  for (const pid_t pid : before) CHECK(eventually(5s, [pid] { return !is_running(pid); }));
  const LoadReport of_kept = kept.stop();
  const LoadReport of_fresh = fresh.stop();
  const LoadReport of_slow = slow.stop();
  std::cout << "three reloads, kept-alive connections: " << of_kept.text() << "\n"
            << "three reloads, new connections: " << of_fresh.text() << "\n"
            << "three reloads, slow requests: " << of_slow.text() << "\n";
  INFO(of_kept.text() << "; " << of_fresh.text() << "; " << of_slow.text());
  CHECK(of_kept.failed() == 0);
  CHECK(of_fresh.failed() == 0);
  CHECK(of_slow.failed() == 0);
  for (const pid_t pid : server.worker_pids()) CHECK(std::count(before.begin(), before.end(), pid) == 0);
  CHECK(server.status().at("totals").at("restarts") == 0);  // nothing crashed
}

TEST_CASE("a slow request of the old generation is finished", "[reload]") {
  const ServerProcess server({.workers = 1});
  HttpConnection slow(server.address());
  slow.send_raw("GET /slow?ms=6000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("in_flight") == 2; }));
  server.signal(SIGHUP);
  REQUIRE(eventually(10s, [&] { return has_generation(server, 2); }));
  CHECK_FALSE(slow.readable_within(0ms));
  CHECK(slow.read_response().status == 200);
}

TEST_CASE("a reload takes the new application", "[reload]") {
  const DeployedApp app("hello");
  const ServerProcess server({.app = app.path, .workers = 2});
  CHECK(get(server.address(), "/hello/Ann").body == "Hello, Ann!\n");
  app.deploy(app_path("apps/deadline"));
  const ProgramResult result = server.control_command({"reload"});
  INFO(result.all());
  CHECK(result.status == 0);
  REQUIRE(eventually(10s, [&] { return has_generation(server, 2); }));
  for (int i = 0; i < 10; ++i) CHECK(get(server.address(), "/ends").body == "in time");
}

TEST_CASE("a reload of an application that cannot start keeps the old one and says why", "[reload]") {
  const DeployedApp app("hello");
  const ServerProcess server({.app = app.path, .workers = 2});
  const auto workers = server.worker_pids();
  const std::vector<std::pair<std::string, std::string>> broken{
      {app_path("apps/throws_in_setup"), "the price list is missing"},
      {app_path("apps/throws_in_on_start"), "the warehouse does not answer"},
      {app_path("apps/other_api_version"), "API 42"},
      {source_path("/CMakeLists.txt"), "app.so"}};
  for (const auto& [replacement, reason] : broken) {
    INFO(replacement);
    app.deploy(replacement);
    const std::size_t lines = server.log_lines(reason).size();
    server.signal(SIGHUP);
    CHECK(eventually(10s, [&] { return server.log_lines(reason).size() > lines; }));
    check_unchanged(server, workers);
  }
  const ProgramResult result = server.control_command({"reload"});
  INFO(result.all());
  CHECK(result.status != 0);
  check_unchanged(server, workers);

  app.deploy(app_path("hello"));  // and a good one is taken again
  CHECK(server.control_command({"reload"}).status == 0);
  CHECK(eventually(10s, [&] { return server.worker_pids() != workers && server.wait_ready(2, 0ms); }));
}

TEST_CASE("a reload reads the configuration file again, and keeps the old one when it is wrong", "[reload]") {
  const TempDir directory;
  const std::string file = directory / "pronghorn.toml";
  write_file(file, "max_body = \"10\"\n");
  const ServerProcess server({.workers = 1, .arguments = {"--config", file}});
  const std::string body(100, 'a');
  CHECK(post(server.address(), "/echo", body).status == 413);

  write_file(file, "max_bodi = \"1KiB\"\n");
  server.signal(SIGHUP);
  CHECK(eventually(10s, [&] { return server.log_has("max_bodi"); }));
  CHECK(post(server.address(), "/echo", body).status == 413);
  CHECK(server.status().at("server").at("generation") == 1);

  write_file(file, "max_body = \"1KiB\"\n");
  server.signal(SIGHUP);
  CHECK(eventually(10s, [&] { return post(server.address(), "/echo", body).status == 200; }));
}

// An editor empties a file before it writes it again; a reload in that moment replaced everything with the defaults.
TEST_CASE("a reload refuses a configuration file that has become empty", "[reload]") {
  const TempDir directory;
  const std::string file = directory / "pronghorn.toml";
  write_file(file, "");
  const ServerProcess server({.workers = 1, .arguments = {"--config", file}});
  const auto reload = [&server](const std::string& command) { return server.control_command({command}).status; };
  CHECK(reload("reload") == 0);  // it was started with an empty one

  const std::string body(100, 'a');
  write_file(file, "max_body = \"10\"\n");
  REQUIRE(reload("reload") == 0);
  REQUIRE(eventually(10s, [&] { return has_generation(server, 3); }));
  for (const std::string text : {"", " \n"}) {
    INFO(text);
    write_file(file, text);
    for (const std::string command : {"reload", "upgrade"}) {
      const ProgramResult result = server.control_command({command});
      INFO(result.all());
      CHECK(result.status == 1);
      CHECK(result.err.find(file + ": the file has become empty") != std::string::npos);
    }
    CHECK(post(server.address(), "/echo", body).status == 413);
    CHECK(has_generation(server, 3));
  }
  write_file(file, "# max_body = \"10\"\n");  // somebody has written that
  REQUIRE(reload("reload") == 0);
  CHECK(eventually(10s, [&] { return post(server.address(), "/echo", body).status == 200; }));
}

// A successor that scaling down had stopped was taken for one that cannot start.
TEST_CASE("scaling down and up again while a rollout runs does not end it", "[reload][scale]") {
  const ServerProcess server({.workers = 6});
  for (int generation = 2; generation <= 4; ++generation) {
    server.signal(SIGHUP);
    const std::string begins = "rollout of generation " + std::to_string(generation) + " begins";
    REQUIRE(eventually(10s, [&] { return server.log_has(begins); }, 1ms));
    for (int i = 0; i < 2; ++i) {
      CHECK(server.control_command({"scale", "1"}).status == 0);
      CHECK(server.control_command({"scale", "6"}).status == 0);
    }
    CHECK(eventually(20s, [&] { return has_generation(server, generation) && server.wait_ready(6, 0ms); }));
  }
  CHECK_FALSE(server.log_has("did not become ready"));
}

TEST_CASE("a reload with a log that cannot be written is refused with the reason", "[reload]") {
  const TempDir directory;
  const std::string file = directory / "pronghorn.toml";
  write_file(file, "");
  const ServerProcess server({.workers = 1, .arguments = {"--config", file}});
  for (const std::string option : {"log_file", "access_log"}) {
    write_file(file, option + " = \"/nonexistent/x.log\"\n");
    const ProgramResult result = server.control_command({"reload"});
    INFO(result.all());
    CHECK(result.status == 1);
    CHECK(result.err.find(option + " /nonexistent/x.log: No such file or directory") != std::string::npos);
  }
}

TEST_CASE("a reload without the file that the server was started with is refused", "[reload]") {
  const std::string script = "echo 'max_body = \"10\"' > pronghorn.toml; exec \"$0\" \"$@\"";
  const ServerProcess server({.command = {"/bin/sh", "-c", script, program_path(), "serve", app_path("demo")}});
  CHECK(post(server.address(), "/echo", "eleven bytes").status == 413);
  REQUIRE(std::filesystem::remove(server.file("pronghorn.toml")));
  const ProgramResult result = server.control_command({"reload"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(result.err.find("pronghorn.toml") != std::string::npos);
  CHECK(post(server.address(), "/echo", "eleven bytes").status == 413);
}

// To open it blocked the supervisor for good.
TEST_CASE("a reload whose configuration file has become a pipe is refused with the reason", "[reload]") {
  const TempDir directory;
  const std::string file = directory / "pronghorn.toml";
  write_file(file, "max_body = \"10\"\n");
  const ServerProcess server({.workers = 1, .arguments = {"--config", file}});
  REQUIRE(std::filesystem::remove(file));
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  const ProgramResult result = server.control_command({"reload"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(result.err.find(file + ": it is not a regular file") != std::string::npos);
}

TEST_CASE("reloads that overlap end with one generation of workers", "[reload]") {
  const ServerProcess server({.workers = 2});
  for (int i = 0; i < 5; ++i) server.signal(SIGHUP);
  REQUIRE(eventually(15s, [&] {
    const int generation = server.status().at("server").at("generation");
    return generation > 1 && has_generation(server, generation) && children_without_guardians(server.pid()).size() == 2;
  }));
  CHECK(server.status().at("totals").at("restarts") == 0);
}
