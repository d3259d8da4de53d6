#include "supervisor/launch/app_copy.h"

#include <sys/stat.h>
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

TEST_CASE("a copy that was deleted with its directories is restored before a worker starts", "[app_copy]") {
  Place place("first");
  const auto copy = copy_app(place.config, 1);
  REQUIRE(copy != nullptr);
  write_file(place.config.app, "second");
  for (int round = 0; round < 2; ++round) {  // also what was restored can be
    std::filesystem::remove_all(place.config.runtime_dir);
    REQUIRE(copy->restore().has_value());
    CHECK(read_file(copy->path()) == "first");
  }
  std::filesystem::rename(place.config.app, copy->path());  // another file under the name
  REQUIRE(copy->restore().has_value());
  CHECK(read_file(copy->path()) == "first");
}

TEST_CASE("an existing copy is not written again", "[app_copy]") {
  Place place("first");
  const auto copy = copy_app(place.config, 1);
  REQUIRE(copy != nullptr);
  struct stat before{};
  struct stat after{};
  ::stat(copy->path().c_str(), &before);
  REQUIRE(copy->restore().has_value());
  ::stat(copy->path().c_str(), &after);
  CHECK(before.st_ino == after.st_ino);
}

TEST_CASE("a copy that cannot be restored says why, and is restored later", "[app_copy]") {
  Place place("first");
  const auto copy = copy_app(place.config, 1);
  REQUIRE(copy != nullptr);
  std::filesystem::remove_all(place.config.runtime_dir);
  write_file(place.config.runtime_dir, "a file");
  const auto refused = copy->restore();
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().find(copy->path()) != std::string::npos);
  CHECK(refused.error().find("runtime_dir") != std::string::npos);
  std::filesystem::remove(place.config.runtime_dir);
  REQUIRE(copy->restore().has_value());
  CHECK(read_file(copy->path()) == "first");
}

TEST_CASE("a copy that an earlier image made is restored from the descriptor of the later one", "[app_copy]") {
  Place place("first");
  const auto copy = copy_app(place.config, 1);
  const auto adopted = adopt_app_copy(place.config);
  REQUIRE(adopted != nullptr);
  std::filesystem::remove_all(place.config.runtime_dir);
  REQUIRE(adopted->restore().has_value());
  CHECK(read_file(adopted->path()) == "first");
}

TEST_CASE("an application that is a FIFO or a device is not read", "[app_copy]") {
  Place place("first");
  std::filesystem::remove(place.config.app);
  REQUIRE(::mkfifo(place.config.app.c_str(), 0600) == 0);
  CHECK(copy_app(place.config, 1) == nullptr);  // without a writer: would wait for one
  CHECK(place.config.app_file.empty());
  place.config.app = "/dev/zero";  // never ends
  CHECK(copy_app(place.config, 1) == nullptr);
}

TEST_CASE("a program with an application of its own has nothing to copy", "[app_copy]") {
  Config config;
  CHECK(copy_app(config, 1) == nullptr);
}
