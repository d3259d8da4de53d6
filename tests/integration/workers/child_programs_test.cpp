// Programs that a handler starts inherited the listeners, the channel and the scoreboard, so a child that outlived its
// worker kept the port in use; and they ignored SIGPIPE, SIGINT, SIGHUP and SIGQUIT.
#include <signal.h>

#include <cstdint>
#include <sstream>
#include <string>

#include "support/catch.h"
#include "support/processes/server_process.h"

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

TEST_CASE("a worker ignores signals to the whole process group", "[children]") {
  const ServerProcess server({.app = app_path("apps/children"), .workers = 1});
  const pid_t worker = server.worker_pids().at(0);
  for (const int signal : {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGTTIN, SIGTTOU}) {
    REQUIRE(::kill(worker, signal) == 0);
  }
  CHECK(get(server.address(), "/signals").status == 200);
  CHECK(server.worker_pids().at(0) == worker);
}
