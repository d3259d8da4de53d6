#include "supervisor/app_copy.h"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;
using namespace pronghorn::test;

namespace {

struct Place {
  TempDir directory;
  Config config;
  explicit Place(const std::string& bytes) {
    config.app = directory / "shop.so";
    config.runtime_dir = directory / "run";
    config.data_dir = directory / "data";
    write_file(config.app, bytes);
  }
};

}  // namespace

TEST_CASE("the copy of an application stays what it was when the file is overwritten", "[app_copy]") {
  Place place("first");
  const auto copy = copy_app(place.config, 1);
  REQUIRE(copy != nullptr);
  write_file(place.config.app, "second, and longer");
  CHECK(read_file(copy->path()) == "first");
  CHECK(place.config.app_file == copy->path());
}

TEST_CASE("each generation has a copy of its own, which goes with its owner", "[app_copy]") {
  Place place("first");
  const auto first = copy_app(place.config, 1);
  auto second = copy_app(place.config, 2);
  REQUIRE(second != nullptr);
  const std::string path = second->path();
  CHECK(path != first->path());
  CHECK(std::filesystem::exists(path));
  second.reset();
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(std::filesystem::exists(first->path()));
}

TEST_CASE("an application that looks for libraries or files beside itself is used in place", "[app_copy]") {
  // Across the pieces in which the file is read.
  Place place(std::string(64 * 1024 - 3, 'a') + "$ORIGIN/lib");
  CHECK(copy_app(place.config, 1) == nullptr);
  CHECK(place.config.app_file.empty());
  write_file(place.config.app, std::string("a\0dladdr\0b", 10));
  CHECK(copy_app(place.config, 1) == nullptr);
  write_file(place.config.app, "a dladdr b");
  CHECK(copy_app(place.config, 1) != nullptr);
}

TEST_CASE("where the runtime directory cannot hold a copy, the data directory does", "[app_copy]") {
  Place place("first");
  write_file(place.config.runtime_dir, "a file");
  const auto copy = copy_app(place.config, 1);
  REQUIRE(copy != nullptr);
  CHECK(copy->path().starts_with(place.config.data_dir));
  write_file(place.directory / "file", "");
  place.config.data_dir = place.directory / "file";
  CHECK(copy_app(place.config, 2) == nullptr);
}

TEST_CASE("copies of a server that was killed are deleted, those of others are not", "[app_copy]") {
  Place place("first");
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  ::waitpid(dead, nullptr, 0);
  const std::string apps = place.config.runtime_dir + "/apps";
  std::filesystem::create_directories(apps);
  const std::string stale = apps + "/" + std::to_string(dead) + ".1-shop.so";
  const std::string alive = apps + "/" + std::to_string(::getppid()) + ".1-shop.so";
  const std::string foreign = apps + "/notes.txt";
  for (const std::string& path : {stale, alive, foreign}) write_file(path, "");
  const auto copy = copy_app(place.config, 1);
  CHECK_FALSE(std::filesystem::exists(stale));
  CHECK(std::filesystem::exists(alive));
  CHECK(std::filesystem::exists(foreign));
}

TEST_CASE("a program with an application of its own has nothing to copy", "[app_copy]") {
  Config config;
  CHECK(copy_app(config, 1) == nullptr);
}
