// Pronghorn inside programs of others: examples/embedded, an installed Pronghorn, a new project.
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "support/catch.h"
#include "support/paths.h"
#include "support/server_process.h"

using namespace pronghorn::test;

namespace {

const std::string kEmbedded = build_path("/examples/embedded");

// `cmake --install` into a folder of this test.
struct Installed {
  TempDir directory;
  std::string prefix = directory / "prefix";
  std::string program = prefix + "/bin/pronghorn";

  Installed() {
    const ProgramResult result = run_program({"cmake", "--install", build_path(""), "--prefix", prefix}, {}, 60s);
    INFO(result.all());
    REQUIRE(result.status == 0);
  }
  // Configures and builds the project in `source`; returns the build folder.
  [[nodiscard]] std::string build(const std::string& source) const {
    const std::string build_folder = source + "/build";
    const ProgramResult configured =
        run_program({"cmake", "-S", source, "-B", build_folder, "-DCMAKE_PREFIX_PATH=" + prefix,
                     "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS=" PRONGHORN_APP_FLAGS},
                    {}, 100s);
    INFO(configured.all());
    REQUIRE(configured.status == 0);
    const ProgramResult built = run_program({"cmake", "--build", build_folder, "-j", "2"}, {}, 300s);
    INFO(built.all());
    REQUIRE(built.status == 0);
    return build_folder;
  }
};

std::string find_plugin(const std::string& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".so") return entry.path();
  }
  return {};
}

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

TEST_CASE("an application outside the tree is built and served by an installed Pronghorn", "[embedding][slow]") {
  const Installed installed;
  const std::string source = installed.directory / "outside";
  std::filesystem::create_directories(source);
  write_file(source + "/CMakeLists.txt",
             "cmake_minimum_required(VERSION 3.25)\n"
             "project(outside LANGUAGES CXX)\n"
             "find_package(pronghorn REQUIRED)\n"
             "pronghorn_add_app(outside outside.cpp)\n");
  write_file(source + "/outside.cpp",
             "#include <pronghorn/pronghorn.h>\n"
             "using namespace pronghorn;\n"
             "PRONGHORN_APP(app) { app.get(\"/\", [](Request&) { return text(\"from outside\"); }); }\n");
  const std::string plugin = find_plugin(installed.build(source));
  REQUIRE_FALSE(plugin.empty());
  const ServerProcess server({.command = {installed.program, "serve", plugin}, .workers = 1});
  CHECK(get(server.address(), "/").body == "from outside");
}

TEST_CASE("pronghorn new makes a project that builds, passes its tests and runs", "[embedding][slow]") {
  const Installed installed;
  const std::string shop = installed.directory / "shop";
  const ProgramResult made = run_program({installed.program, "new", "shop"}, {}, 20s, installed.directory.path());
  INFO(made.all());
  REQUIRE(made.status == 0);
  for (const char* file : {"CMakeLists.txt", "README.md"}) CHECK(std::filesystem::exists(shop + "/" + file));
  CHECK(run_program({installed.program, "new", "shop"}, {}, 20s, installed.directory.path()).status == 2);

  const std::string build_folder = installed.build(shop);
  const ProgramResult tests = run_program({"ctest", "--test-dir", build_folder, "--output-on-failure"}, {}, 60s);
  INFO(tests.all());
  CHECK(tests.status == 0);
  CHECK(tests.out.find("100% tests passed") != std::string::npos);

  const ServerProcess server({.command = {installed.program, "serve", find_plugin(build_folder)}, .workers = 1});
  CHECK(get(server.address(), "/").status == 200);
  CHECK(get(server.address(), "/users/7").json() == nlohmann::json{{"id", 7}});
}
