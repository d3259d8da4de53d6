#include "supervisor/system/directories.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"
#include "supervisor/system/exit_status.h"
#include "support/catch.h"

using namespace pronghorn::supervisor;
using pronghorn::Fd;

namespace {

std::string error_of(auto&& call) {
  try {
    call();
  } catch (const ConfigurationError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("a private directory is created with its parents, accessible to its owner only", "[supervisor]") {
  char name[] = "/tmp/pronghorn-test-XXXXXX";
  const std::filesystem::path root = ::mkdtemp(name);
  const std::string path = root / "a" / "b";
  make_private_directory(path, "data_dir");
  make_private_directory(path, "data_dir");
  struct stat facts{};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0700);
  const std::string file = root / "file";
  std::ofstream(file) << "x";
  CHECK(error_of([&] { make_private_directory(file, "data_dir"); }) ==
        "data_dir " + file + ": it is not a directory; choose another directory with --data-dir");
  std::filesystem::remove_all(root);
}

TEST_CASE("a directory in which others could replace files is refused", "[supervisor]") {
  char name[] = "/tmp/pronghorn-test-XXXXXX";
  const std::filesystem::path root = ::mkdtemp(name);
  const auto refusal = [&](mode_t mode) {
    REQUIRE(::chmod(root.c_str(), mode) == 0);
    return error_of([&] { make_private_directory(root, "runtime_dir"); });
  };
  CHECK(refusal(0777).find("every user may write there (mode 0777); chmod it to 0700") != std::string::npos);
  CHECK(refusal(01777).empty());
  CHECK(
      error_of([&] { refuse_public_directory(root, "runtime_dir"); }) ==
      "runtime_dir " + root.string() +
          ": every user may create files there (mode 1777), also a socket in the place of that of the embedded Redis; "
          "choose another directory with --runtime-dir");
  CHECK(refusal(0775).empty());
  CHECK_NOTHROW(refuse_public_directory(root, "runtime_dir"));
  if (::geteuid() == 0) {
    REQUIRE(::chown(root.c_str(), 65534, 65534) == 0);
    CHECK(refusal(0700).find("it belongs to another user") != std::string::npos);
  }
  std::filesystem::remove_all(root);
}

TEST_CASE("members of a group that may write in a directory of the server are told of", "[supervisor]") {
  char name[] = "/tmp/pronghorn-test-XXXXXX";
  const std::filesystem::path root = ::mkdtemp(name);
  CHECK(who_may_replace_files(root).empty());
  REQUIRE(::chmod(root.c_str(), 0770) == 0);
  CHECK(who_may_replace_files(root).starts_with("members of group " + std::to_string(::getegid()) +
                                                " may write there (mode 0770): "));
  std::filesystem::remove_all(root);
  CHECK(who_may_replace_files(root).empty());
}

TEST_CASE("a directory that another server uses is refused with that server's pid", "[supervisor]") {
  char name[] = "/tmp/pronghorn-test-XXXXXX";
  const std::filesystem::path root = ::mkdtemp(name);
  {
    const Fd lock = lock_directory(root, "runtime_dir");
    const std::string error = error_of([&] { (void)lock_directory(root, "runtime_dir"); });
    CHECK(error.find("(pid " + std::to_string(::getpid()) + ")") != std::string::npos);
    CHECK(error.find("--runtime-dir") != std::string::npos);
  }
  CHECK(lock_directory(root, "runtime_dir"));
  std::filesystem::remove_all(root);
}
