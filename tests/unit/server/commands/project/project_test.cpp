#include "server/commands/project/project.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "server/options/config_file.h"
#include "server/options/options.h"
#include "server/options/values/values.h"
#include "support/catch.h"

using namespace pronghorn::server;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "pronghorn-new-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("new makes a project of that name with everything in it", "[project]") {
  const Folder folder;
  make_project(folder / "shop");
  for (const char* file : {"CMakeLists.txt", "src/app.h", "src/app.cpp", "tests/app_test.cpp", "README.md",
                           "Dockerfile", "pronghorn.toml", ".gitignore"}) {
    CAPTURE(file);
    const std::string text = contents(folder / "shop" + "/" + file);
    CHECK_FALSE(text.empty());
    CHECK(text.find("@NAME@") == std::string::npos);
    CHECK(text.find("@VERSION@") == std::string::npos);
  }
  CHECK(contents(folder / "shop/CMakeLists.txt").find("pronghorn_add_app(shop src/app.cpp)") != std::string::npos);
  CHECK(contents(folder / "shop/CMakeLists.txt").find("find_package(pronghorn 0.") != std::string::npos);
}

TEST_CASE("the configuration of a new project is valid", "[project]") {
  for (const ProjectFile& file : project_files("shop")) {
    if (file.path != "pronghorn.toml") continue;
    const ConfigFile config = parse_config(file.text, file.path);
    pronghorn::Config effective;
    for (const FileValue& value : config.values) {
      const Option* option = find_option(value.key);
      REQUIRE(option != nullptr);
      CHECK_NOTHROW(option->set(effective, value.values));
    }
    CHECK(config.app_settings.at("greeting") == "Hello");
  }
}

TEST_CASE("new does not change existing files", "[project]") {
  const Folder folder;
  make_project(folder / "shop");
  std::ofstream(folder / "shop/README.md") << "mine";
  CHECK_THROWS_AS(make_project(folder / "shop"), UsageError);
  CHECK_THROWS_AS(make_project(folder / "shop/"), UsageError);
  CHECK(contents(folder / "shop/README.md") == "mine");
  fs::create_symlink("/nonexistent", folder / "link");
  CHECK_THROWS_AS(make_project(folder / "link"), UsageError);
}

TEST_CASE("new refuses names that cannot be a CMake target", "[project]") {
  const Folder folder;
  for (const char* name :
       {"", ".", "..", "1shop", "my shop", "shop!", "-shop", "a.b", "all", "test", "install", "pronghorn"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(make_project(name), UsageError);
  }
  CHECK_THROWS_AS(make_project(folder / "missing/shop"), UsageError);
  CHECK_NOTHROW(make_project(folder / "my-Shop_2"));
}
