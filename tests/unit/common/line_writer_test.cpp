#include "common/line_writer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn;

namespace {

std::string line(char c, std::size_t size) { return std::string(size - 1, c) + '\n'; }

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Everything that a descriptor has to give now.
std::string drain(int fd) {
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  std::string all;
  std::array<char, 65'536> bytes{};
  for (ssize_t count = 0; (count = ::read(fd, bytes.data(), bytes.size())) > 0;) {
    all.append(bytes.data(), static_cast<std::size_t>(count));
  }
  return all;
}

// Each line must be made of one letter, as line() made it.
std::size_t whole_lines(const std::string& text, std::size_t size) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += size, ++count) {
    if (text.size() - at < size || text.substr(at, size) != line(text[at], size)) return std::string::npos;
  }
  return count;
}

struct Pair {
  std::array<int, 2> fds{-1, -1};
  Pair() = default;
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  ~Pair() {
    for (const int fd : fds) ::close(fd);
  }
};

}  // namespace

// The access log once blocked the loops of all workers, until the watchdog killed them.
TEST_CASE("a pipe that nobody reads blocks nobody, and its reader gets whole lines later", "[line_writer]") {
  Pair pipe;
  REQUIRE(::pipe(pipe.fds.data()) == 0);
  constexpr std::size_t kSize = 1'000;
  LineWriter writer("-", pipe.fds[1]);
  constexpr std::size_t kLines = 2'000;
  for (std::size_t i = 0; i < kLines; ++i) {
    writer.add(line(static_cast<char>('a' + i % 26), kSize));
    writer.flush();
  }
  CHECK(writer.pending());
  CHECK(writer.dropped() > 0);
  std::string read;
  while (writer.pending()) {
    read += drain(pipe.fds[0]);
    writer.flush();
  }
  read += drain(pipe.fds[0]);
  CHECK(whole_lines(read, kSize) == kLines - writer.dropped());
  CHECK((::fcntl(pipe.fds[1], F_GETFL) & O_NONBLOCK) == 0);  // others write to it too
}

TEST_CASE("a stream socket that nobody reads blocks nobody", "[line_writer]") {
  Pair pair;
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.fds.data()) == 0);
  constexpr std::size_t kSize = 1'000;
  LineWriter writer("-", pair.fds[1]);
  for (std::size_t i = 0; i < 2'000; ++i) {
    writer.add(line('a', kSize));
    writer.flush();
  }
  CHECK(writer.pending());
  CHECK(writer.dropped() > 0);
  CHECK(whole_lines(drain(pair.fds[0]), kSize) != std::string::npos);
}

TEST_CASE("a FIFO that nobody has opened for reading does not block the start", "[line_writer]") {
  const test::TempDir folder;
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  LineWriter writer(folder / "fifo", STDERR_FILENO);
  writer.add("one\n");
  writer.flush();
  const int reader = ::open((folder / "fifo").c_str(), O_RDONLY | O_NONBLOCK);
  CHECK(drain(reader) == "one\n");
  ::close(reader);
}

TEST_CASE("lines for a reader that has left are dropped and counted", "[line_writer]") {
  ::signal(SIGPIPE, SIG_IGN);
  Pair pipe;
  REQUIRE(::pipe(pipe.fds.data()) == 0);
  LineWriter writer("-", pipe.fds[1]);
  ::close(std::exchange(pipe.fds[0], -1));
  writer.add("one\ntwo\n");
  writer.flush();
  CHECK_FALSE(writer.pending());
  CHECK_FALSE(writer.accepts());
  CHECK(writer.dropped() == 2);
}

// A full disk once left torn lines in the file, with the next line glued to them.
TEST_CASE("a disk that fills up in the middle of a line leaves whole lines", "[line_writer]") {
  const test::TempDir folder;
  const std::string path = folder / "log";
  constexpr std::size_t kSize = 1'000;
  const pid_t child = ::fork();  // a limit on the size of files stands in for the disk: write() takes a part, then none
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{.rlim_cur = 10'500, .rlim_max = RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    LineWriter writer(path, STDERR_FILENO);
    for (int i = 0; i < 20; ++i) writer.add(line(static_cast<char>('a' + i), kSize));
    writer.flush();
    const bool full = writer.pending() && whole_lines(contents(path), kSize) == 10;
    limit.rlim_cur = RLIM_INFINITY;  // space again
    ::setrlimit(RLIMIT_FSIZE, &limit);
    writer.reopen();
    ::_exit(full && !writer.pending() && writer.dropped() == 0 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  const std::string text = contents(path);
  CHECK(whole_lines(text, kSize) == 20);
  for (std::size_t i = 0; i < 20; ++i) CHECK(text[i * kSize] == static_cast<char>('a' + i));
}
