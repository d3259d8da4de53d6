// Where the machine lets no connection outlive its worker: the server says so once, and serves.
#include <signal.h>

#include <cerrno>
#include <string>

#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

TEST_CASE("without the system calls that guardians need the reason is told once, and requests are served",
          "[survival]") {
  struct Case {
    const char* call;
    int error;
    std::string reason;
  };
  const auto [call, error, reason] =
      GENERATE(Case{"pidfd_open", ENOSYS, "(Linux 5.3 is needed)"}, Case{"pidfd_open", EPERM, "(a seccomp filter?)"},
               Case{"clone", EPERM, "(a seccomp filter?)"});
  INFO(call << ": " << error);
  const ServerProcess server({.command = {build_path("/tests/refuse_call"), call, std::to_string(error), program_path(),
                                          "serve", app_path("demo")}});
  CHECK(get(server.address(), "/hello").status == 200);
  const pid_t victim = server.worker_pids().at(0);
  REQUIRE(::kill(victim, SIGKILL) == 0);
  REQUIRE(
      eventually(5s, [&] { return server.status().at("totals").at("restarts") == 1 && server.wait_ready(2, 0ms); }));
  CHECK(get(server.address(), "/hello").status == 200);
  const auto said = server.log_lines("connections will not survive the death of their worker: ");
  REQUIRE(said.size() == 1);
  CHECK(said[0].find(std::string(call) + ": ") != std::string::npos);
  CHECK(said[0].find(reason) != std::string::npos);
}
