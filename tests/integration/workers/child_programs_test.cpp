// Programs that a handler starts inherited the listeners, the channel and the scoreboard, so a child that outlived its
// worker kept the port in use; and they ignored SIGPIPE, SIGINT, SIGHUP and SIGQUIT.
#include <signal.h>
#include <sys/stat.h>

#include <cstdint>
#include <sstream>
#include <string>

#include "support/catch.h"
#include "support/processes/server_process.h"
#include "support/temp_dir.h"

using namespace pronghorn::test;

namespace {

// Each mask in the body, "SigIgn:\t0000000000001000", must be zero.
void check_no_signals(const std::string& body) {
  INFO(body);
  std::istringstream lines(body);
  int masks = 0;
  // Bits 31 and 32 are signals that libc keeps for its threads: no program can change them.
  constexpr std::uint64_t kOfLibc = 0x180000000;
  for (std::string line; std::getline(lines, line); ++masks)
    CHECK((std::stoull(line.substr(line.find('\t') + 1), nullptr, 16) & ~kOfLibc) == 0);
  CHECK(masks == 2);
}

}  // namespace

TEST_CASE("a program that a handler starts inherits no descriptor but the standard ones", "[children]") {
  const ServerProcess server({.app = app_path("apps/children"),
                              .workers = 2,
                              .arguments = {"--admin", "127.0.0.1:0", "--access-log", "access.log"}});
  HttpConnection waiting(server.address());  // an accepted connection
  CHECK(waiting.get("/signals").status == 200);
  const std::string body = get(server.address(), "/descriptors").body;
  INFO(body);
  CHECK(body.find("socket:") == std::string::npos);
  CHECK(body.find("memfd:") == std::string::npos);
  CHECK(body.find("eventpoll") == std::string::npos);
  CHECK(body.find(" 3 -> ") == std::string::npos);
}

TEST_CASE("a program that a handler starts ignores and blocks no signal", "[children]") {
  const ServerProcess server({.app = app_path("apps/children"), .workers = 1});
  check_no_signals(get(server.address(), "/signals").body);
  check_no_signals(get(server.address(), "/signals/offloaded").body);
}

TEST_CASE("a program that a handler starts does not inherit the password of Redis", "[children]") {
  const ServerProcess server(
      {.app = app_path("apps/children"), .workers = 1, .redis = "redis://shop:hunter2@127.0.0.1:1"});
  const std::string body = get(server.address(), "/environment").body;
  INFO(body);
  CHECK(body.find("PATH=") != std::string::npos);
  CHECK(body.find("hunter2") == std::string::npos);
}

// printf() blocked for ever, the watchdog killed the worker, and the request was quarantined.
TEST_CASE("what a handler prints into a pipe that nobody reads blocks no worker", "[children]") {
  const TempDir directory;
  const std::string fifo = directory / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const ServerProcess server({.app = app_path("apps/children"),
                              .command = {"/bin/sh", "-c", R"(exec "$0" "$@" 1<>"$FIFO" 2<>"$FIFO")", program_path(),
                                          "serve", app_path("apps/children")},
                              .workers = 1,
                              .arguments = {"--log-file", "log", "--worker-timeout", "2s"},
                              .environment = {{"FIFO", fifo}}});
  CHECK(get(server.address(), "/print").status == 200);
  CHECK(get(server.address(), "/print").status == 200);
  CHECK(server.status().at("totals").at("restarts") == 0);
}

TEST_CASE("a worker ignores signals to the whole process group", "[children]") {
  const ServerProcess server({.app = app_path("apps/children"), .workers = 1});
  const pid_t worker = server.worker_pids().at(0);
  for (const int signal : {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGTTIN, SIGTTOU}) {
    REQUIRE(::kill(worker, signal) == 0);
  }
  CHECK(get(server.address(), "/signals").status == 200);
  CHECK(server.worker_pids().at(0) == worker);
}

// The loop still had its own watcher under the number that the kernel gave to the next client. That client was closed
// at once, and so were all later ones that had to be waited for.
TEST_CASE("a worker whose application closes a descriptor of the loop is replaced, and its connections go on",
          "[children]") {
  const ServerProcess server({.app = app_path("apps/children"), .workers = 1});
  const pid_t worker = server.worker_pids().at(0);
  HttpConnection before(server.address());
  REQUIRE(before.request("POST", "/close?what=anon_inode%3A%5Beventfd%5D").body != "-1");
  HttpConnection next(server.address());
  CHECK(next.get("/signals").status == 200);
  CHECK(next.get("/signals").status == 200);
  CHECK(before.get("/signals").status == 200);
  CHECK(server.worker_pids().at(0) != worker);
  CHECK(server.log_lines("the application has closed a descriptor that is not its own").size() == 1);
}
