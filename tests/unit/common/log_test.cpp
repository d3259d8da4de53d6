#include "common/log.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "common/crash_record.h"
#include "support/catch.h"
#include "unit/common/error_of.h"

using namespace pronghorn;

namespace {

// A folder of its own; afterwards the log goes to standard error again, for the tests that follow.
struct LogFolder {
  LogFolder() {
    char name[] = "/tmp/pronghorn-log-XXXXXX";
    path = ::mkdtemp(name);
  }
  LogFolder(const LogFolder&) = delete;
  LogFolder& operator=(const LogFolder&) = delete;
  ~LogFolder() {
    open_log({});
    std::filesystem::remove_all(path);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return path + "/" + name; }
  std::string path;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("the log writes what is at or above its level") {
  const LogFolder folder;
  open_log({"text", "warning", folder.file("log"), "worker 0"});
  log_info("hidden");
  log_error("shown", {{"slot", 1}});
  const auto lines = lines_of(folder.file("log"));
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("shown slot=1") != std::string::npos);
  CHECK(lines[0].find("worker 0[" + std::to_string(::getpid()) + "]") != std::string::npos);
}

TEST_CASE("JSON lines from several threads never mix") {
  const LogFolder folder;
  open_log({"json", "info", folder.file("log"), "supervisor"});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 200; ++n) log_info("turn", {{"text", std::string(300, 'x')}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto lines = lines_of(folder.file("log"));
  REQUIRE(lines.size() == 800);
  for (const std::string& line : lines) REQUIRE(nlohmann::json::accept(line));
}

TEST_CASE("after a rotation the log goes to a new file of the old name") {
  const LogFolder folder;
  open_log({"text", "info", folder.file("log"), "supervisor"});
  log_info("before");
  std::filesystem::rename(folder.file("log"), folder.file("log.1"));
  log_info("between");
  reopen_log();
  log_info("after");
  CHECK(lines_of(folder.file("log.1")).size() == 2);
  REQUIRE(lines_of(folder.file("log")).size() == 1);
  CHECK(lines_of(folder.file("log"))[0].find("after") != std::string::npos);
}

TEST_CASE("a log that cannot be reopened keeps its old file and says so") {
  const LogFolder folder;
  std::filesystem::create_directory(folder.file("d"));
  open_log({"text", "info", folder.file("d/log"), "supervisor"});
  std::filesystem::rename(folder.file("d"), folder.file("e"));
  reopen_log();
  log_info("goes on");
  const auto lines = lines_of(folder.file("e/log"));
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].find("cannot reopen the log") != std::string::npos);
  CHECK(lines[0].find("file=" + folder.file("d/log")) != std::string::npos);
  CHECK(lines[1].find("goes on") != std::string::npos);
}

TEST_CASE("lines that a log does not accept are dropped and counted, and it says so when it accepts lines again") {
  const LogFolder folder;
  const auto ring = std::make_unique<LogRing>();
  std::atomic<std::uint64_t> unwritten{0};
  copy_log_to(ring.get(), &unwritten);
  std::filesystem::create_symlink("/dev/full", folder.file("log"));
  open_log({"text", "info", folder.file("log"), "supervisor"});
  (void)take_dropped_log_lines();
  constexpr int kLines = 1'000;
  for (int i = 0; i < kLines; ++i) log_info(std::string(1'000, 'x'));
  const std::uint64_t dropped = take_dropped_log_lines();
  CHECK(dropped > 0);
  CHECK(dropped < kLines);
  CHECK(unwritten.load() == kLines - dropped);
  std::filesystem::remove(folder.file("log"));
  reopen_log();  // what was buffered comes first
  log_info("after");
  CHECK(unwritten.load() == 0);
  copy_log_to(nullptr);
  const auto lines = lines_of(folder.file("log"));
  REQUIRE(lines.size() == kLines - dropped + 2);
  CHECK(lines[lines.size() - 2].find("after") != std::string::npos);
  CHECK(lines.back().find("log lines were dropped") != std::string::npos);
  CHECK(lines.back().find("lines=" + std::to_string(dropped)) != std::string::npos);
}

// "pronghorn serve app.so 2>&1 | head": the line that told of dropped lines was dropped, which was told by a line …,
// until the stack overflowed.
TEST_CASE("a log whose reader has left drops its lines, and does not tell itself") {
  const LogFolder folder;
  ::signal(SIGPIPE, SIG_IGN);
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const int standard_error = ::dup(STDERR_FILENO);
  ::dup2(pipe[1], STDERR_FILENO);
  open_log({"text", "info", "-", "supervisor"});
  log_info("read");
  (void)take_dropped_log_lines();
  ::close(pipe[0]);
  log_info("not read");
  log_info("not read either");
  const std::uint64_t dropped = take_dropped_log_lines();
  ::dup2(standard_error, STDERR_FILENO);
  ::close(standard_error);
  ::close(pipe[1]);
  CHECK(dropped == 2);
  open_log({"text", "info", folder.file("log"), "supervisor"});
  log_info("after");
  const auto lines = lines_of(folder.file("log"));
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].find("log lines were dropped") != std::string::npos);
  CHECK(lines[1].find("lines=2") != std::string::npos);
}

TEST_CASE("the level of the log changes while it is open") {
  const LogFolder folder;
  open_log({"text", "info", folder.file("log"), "worker 0"});
  log_debug("hidden");
  set_log_level("debug");
  log_debug("shown");
  CHECK(lines_of(folder.file("log")).size() == 1);
  CHECK(contains(error_of([] { set_log_level("loud"); }), "log_level loud"));
}

TEST_CASE("invalid log options are refused by name") {
  const LogFolder folder;
  CHECK(contains(error_of([&] { (void)open_log({"xml", "info", "-", ""}); }), "log_format xml"));
  CHECK(contains(error_of([&] { (void)open_log({"text", "loud", "-", ""}); }), "log_level loud"));
  CHECK(contains(error_of([&] { (void)open_log({"text", "info", folder.file("none/log"), ""}); }),
                 "No such file or directory"));
}
