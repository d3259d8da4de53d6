// An installed Pronghorn, and applications that are built against it.
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// Runs a command and returns its standard output. Fails the test unless it succeeds.
std::string output_of(const std::vector<std::string>& command, const Environment& environment = {},
                      const std::string& directory = {}) {
  const ProgramResult result = run_program(command, environment, 300s, directory);
  INFO(result.all());
  REQUIRE(result.status == 0);
  return result.out;
}

// `cmake --install` into a folder of this test.
struct Installed {
  TempDir directory;
  std::string prefix = directory / "prefix";
  std::string program = prefix + "/bin/pronghorn";

  explicit Installed(const std::string& component = {}) {
    std::vector<std::string> command{"cmake", "--install", build_path(""), "--prefix", prefix};
    if (!component.empty()) command.insert(command.end(), {"--component", component});
    output_of(command);
  }
  // A link counts by itself: libpronghorn.so of `development` points to a file of `runtime`.
  [[nodiscard]] bool has(const std::string& file) const {
    return std::filesystem::exists(std::filesystem::symlink_status(prefix + "/" + file));
  }
};

// The commands in the first block of code below README's heading `heading`, one per line.
std::vector<std::string> readme_commands(const std::string& heading) {
  const std::string readme = read_file(source_path("/README.md"));
  const auto at = readme.find("\n## " + heading + "\n");
  REQUIRE(at != std::string::npos);
  const auto begin = readme.find("```\n", at) + 4;
  std::istringstream block(readme.substr(begin, readme.find("```", begin) - begin));
  std::vector<std::string> commands;
  for (std::string line; std::getline(block, line);) commands.push_back(line);
  return commands;
}

}  // namespace

TEST_CASE("an installed program finds its library beside it and nowhere else", "[packaging]") {
  const Installed installed;
  CHECK(output_of({installed.program, "--version"}).starts_with("pronghorn "));
  const std::string dynamic = output_of({"readelf", "-W", "-d", installed.program});
  CHECK(dynamic.find("Library runpath: [$ORIGIN/../lib") != std::string::npos);
  CHECK(dynamic.find(":]") == std::string::npos);
  CHECK(dynamic.find("BIND_NOW") != std::string::npos);
}

TEST_CASE("runtime and development files are installed separately", "[packaging]") {
  const Installed runtime("runtime");
  CHECK(runtime.has("bin/pronghorn"));
  CHECK_FALSE(runtime.has("include"));
  CHECK_FALSE(runtime.has("lib/libpronghorn.so"));
  CHECK(output_of({runtime.program, "--version"}).starts_with("pronghorn "));
  const Installed development("development");
  CHECK_FALSE(development.has("bin"));
  CHECK(development.has("include/pronghorn/pronghorn.h"));
  CHECK(development.has("lib/libpronghorn.so"));
  CHECK(development.has("lib/pkgconfig/pronghorn.pc"));
  CHECK(development.has("lib/cmake/pronghorn/pronghorn-config.cmake"));
}

// -march=x86-64-v2 was forced, and a warning of another compiler ended the build of whoever only wanted to use it.
TEST_CASE("a build without presets is for any processor, and its warnings are no errors", "[packaging][slow]") {
  const TempDir build;
  output_of({"cmake", "-S", source_path(""), "-B", build.path(), "-DPRONGHORN_TESTS=OFF"});
  const std::string commands = read_file(build / "compile_commands.json");
  REQUIRE(commands.find(" -Wall ") != std::string::npos);
  for (const char* option : {" -march=", " -mcpu=", " -Werror"}) {
    INFO(option);
    CHECK(commands.find(option) == std::string::npos);
  }
}

TEST_CASE("no flag for warnings or processors is passed on to applications", "[packaging]") {
  const Installed installed("development");
  std::string flags = read_file(installed.prefix + "/lib/pkgconfig/pronghorn.pc");
  for (const auto& file : std::filesystem::directory_iterator(installed.prefix + "/lib/cmake/pronghorn")) {
    flags += read_file(file.path());
  }
  REQUIRE(flags.find("pronghorn::pronghorn") != std::string::npos);
  for (const char* option : {"-Werror", "-Wall", "-march="}) {
    INFO(option);
    CHECK(flags.find(option) == std::string::npos);
  }
}

TEST_CASE("a project finds an installed Pronghorn with CMake or pkg-config", "[packaging][slow]") {
  const Installed installed;
  const std::string source = installed.directory / "outside";
  std::filesystem::create_directories(source);
  // nlohmann_json comes with it: <pronghorn/json.h> includes it.
  write_file(source + "/CMakeLists.txt",
             "cmake_minimum_required(VERSION 3.25)\n"
             "project(outside LANGUAGES CXX)\n"
             "find_package(pronghorn REQUIRED)\n"
             "pronghorn_add_app(outside outside.cpp)\n"
             "target_link_libraries(outside PRIVATE nlohmann_json::nlohmann_json)\n");
  write_file(source + "/outside.cpp",
             "#include <pronghorn/pronghorn.h>\n"
             "using namespace pronghorn;\n"
             "PRONGHORN_APP(app) { app.get(\"/\", [](Request&) { return text(\"from outside\"); }); }\n");
  const Environment environment{{"PKG_CONFIG_PATH", installed.prefix + "/lib/pkgconfig"},
                                {"CMAKE_PREFIX_PATH", installed.prefix}};
  const std::string with_cmake = "cmake -S . -B build && cmake --build build && cp build/outside.so cmake.so";
  const std::string with_pkg_config =
      "c++ -std=c++20 -shared -fPIC -o pkg-config.so outside.cpp $(pkg-config --cflags --libs pronghorn)";
  for (const auto& [plugin, command] :
       {std::pair{"/cmake.so", with_cmake}, std::pair{"/pkg-config.so", with_pkg_config}}) {
    output_of({"bash", "-ec", command}, environment, source);
    const ServerProcess server({.command = {installed.program, "serve", source + plugin}, .workers = 1});
    CHECK(get(server.address(), "/").body == "from outside");
  }
  CHECK(output_of({"readelf", "-W", "-d", source + "/cmake.so"}).find("BIND_NOW") != std::string::npos);
}

TEST_CASE("the container file of a new project installs every library that Pronghorn needs", "[packaging]") {
  if (run_program({"sh", "-c", "command -v dpkg"}).status != 0) {
    WARN("skipped: this system has no packages of Debian");
    return;
  }
  const TempDir home;
  output_of({build_path("/pronghorn"), "new", "shop"}, {}, home.path());
  const std::string container = read_file(home / "shop/Dockerfile");
  const std::string dynamic = output_of({"readelf", "-W", "-d", build_path("/libpronghorn.so")});
  static const std::regex kNeeded(R"(Shared library: \[([^\]]+)\])");
  const std::set<std::string> everywhere{"libc6", "libgcc-s1", "libstdc++6"};  // in every Debian system
  int libraries = 0;
  for (std::sregex_iterator needed(dynamic.begin(), dynamic.end(), kNeeded), end; needed != end; ++needed) {
    const std::string owner = output_of({"dpkg", "-S", "*-linux-gnu/" + (*needed)[1].str()});
    const std::string package = owner.substr(0, owner.find(':'));
    if (everywhere.contains(package)) continue;
    INFO((*needed)[1].str());
    CHECK(container.find(" " + package + " ") != std::string::npos);
    ++libraries;
  }
  CHECK(libraries > 5);
}

TEST_CASE("README's commands for a project of your own work as printed", "[packaging][slow]") {
  const TempDir home;
  const std::string shop = home / "shop";
  std::string script;
  std::vector<std::string> serve;
  for (const std::string& line : readme_commands("A project of your own")) {
    const std::string command = line.substr(0, line.find("  #"));
    if (command.starts_with("cmake --install build ")) {
      script += "cmake --install " + build_path("") + command.substr(std::string("cmake --install build").size());
      script += " && cd\n";
    } else if (command.starts_with("pronghorn serve ")) {
      std::istringstream words(command);
      for (std::string word; words >> word;) serve.push_back(word);
    } else {
      script += command + "\n";
    }
  }
  INFO(script);
  REQUIRE(serve.size() == 3);
  const std::string said = output_of({"bash", "-ec", script}, {{"HOME", home.path()}}, home.path());
  CHECK(said.find("100% tests passed") != std::string::npos);
  for (const char* file : {"/CMakeLists.txt", "/README.md"}) CHECK(std::filesystem::exists(shop + file));
  const std::string program = home / "pronghorn/bin/pronghorn";
  CHECK(run_program({program, "new", "shop"}, {}, 20s, home.path()).status == 2);  // never overwrites

  const ServerProcess server({.command = {program, "serve", shop + "/" + serve.back()}, .workers = 1});
  CHECK(get(server.address(), "/").status == 200);
  CHECK(get(server.address(), "/users/7").json() == nlohmann::json{{"id", 7}});
}
