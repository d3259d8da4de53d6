#include "pronghorn/temporary_file.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn;
using pronghorn::test::read_file;
using pronghorn::test::TempDir;
using pronghorn::test::write_file;

namespace {

std::size_t entries(const std::string& folder) {
  const std::filesystem::directory_iterator files(folder);
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

mode_t mode_of(const std::string& path) {
  struct stat facts{};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  return facts.st_mode & 0777;
}

// Runs `body` in a child process. Returns its wait status.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    try {
      body();
    } catch (...) {
      ::_exit(2);
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

// From now on this process cannot create files without names, as on a file system that lacks them.
void forbid_unnamed_files() {
  constexpr auto kFlags = static_cast<unsigned>(offsetof(seccomp_data, args[2]));
  constexpr unsigned kUnnamed = O_TMPFILE & ~O_DIRECTORY;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kFlags),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kUnnamed, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(code), code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    ::_exit(3);
  }
}

void require(bool holds) {
  if (!holds) ::_exit(1);
}

}  // namespace

TEST_CASE("a temporary file has no name, and a path under which it can be opened", "[temporary_file]") {
  const TempDir folder;
  std::string path;
  {
    const TemporaryFile file(folder.path());
    path = file.path();
    CHECK(entries(folder.path()) == 0);
    CHECK(mode_of(path) == 0600);
    write_file(path, "content");
    CHECK(read_file(path) == "content");
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

// Uploads used to stay in TMPDIR for ever.
TEST_CASE("a process that is killed leaves no temporary file behind", "[temporary_file]") {
  const TempDir folder;
  const int status = in_child([&] {
    const TemporaryFile file(folder.path());
    write_file(file.path(), "content");
    std::raise(SIGKILL);
  });
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(entries(folder.path()) == 0);
}

TEST_CASE("a file that is kept gets its name, and replaces another", "[temporary_file]") {
  const TempDir folder;
  for (const char* content : {"first", "second"}) {
    TemporaryFile file(folder.path());
    write_file(file.path(), content);
    file.keep(folder / "kept");
    CHECK(file.path() == folder / "kept");
    CHECK(read_file(folder / "kept") == content);
  }
  CHECK(read_file(folder / "kept") == "second");
  CHECK(mode_of(folder / "kept") == 0600);
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("what another process has left behind does not keep a file from being kept", "[temporary_file]") {
  const TempDir folder;
  write_file(folder / ("kept." + std::to_string(::getpid()) + ".0.tmp"), "left behind");
  TemporaryFile file(folder.path());
  write_file(file.path(), "content");
  file.keep(folder / "kept");
  CHECK(read_file(folder / "kept") == "content");
}

TEST_CASE("a file that cannot be kept or created says why", "[temporary_file]") {
  const TempDir folder;
  TemporaryFile file(folder.path());
  CHECK_THROWS_AS(file.keep(folder / "missing/kept"), std::system_error);
  std::filesystem::create_directory(folder / "taken");
  CHECK_THROWS_AS(file.keep(folder / "taken"), std::system_error);
  CHECK(entries(folder.path()) == 1);
  CHECK_THROWS_AS(TemporaryFile(folder / "missing"), std::system_error);
}

TEST_CASE("a temporary file that is moved is removed once", "[temporary_file]") {
  const TempDir folder;
  TemporaryFile first(folder.path());
  write_file(first.path(), "content");
  TemporaryFile second(std::move(first));
  CHECK(read_file(second.path()) == "content");
  TemporaryFile third(folder.path());
  third = std::move(second);
  CHECK(read_file(third.path()) == "content");
}

TEST_CASE("where files cannot be without a name, temporary files have one and are removed", "[temporary_file]") {
  const TempDir folder;
  const int status = in_child([&] {
    forbid_unnamed_files();
    {
      const TemporaryFile file(folder.path());
      require(entries(folder.path()) == 1 && file.path().starts_with(folder.path().native()));
      write_file(file.path(), "content");
      require(read_file(file.path()) == "content");
    }
    require(entries(folder.path()) == 0);
    TemporaryFile file(folder.path());
    write_file(file.path(), "content");
    file.keep(folder / "kept");
  });
  CHECK(status == 0);
  CHECK(read_file(folder / "kept") == "content");
  CHECK(entries(folder.path()) == 1);
}
