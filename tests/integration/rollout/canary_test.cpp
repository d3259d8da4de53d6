// The canary of a rollout: it is compared with the other workers, and rolled back if it is worse.
#include <signal.h>

#include <chrono>

#include "integration/rollout/deployment.h"
#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

TEST_CASE("a canary that fails more requests than the others is rolled back with the figures", "[canary]") {
  const Deployment deployment(3);
  const LoadGenerator load(deployment.server.address(), {.target = "/", .threads = 4, .keep_alive = false});
  deployment.configure("fail_percent = 50");
  const ProgramResult result = deployment.reload({"--canary", "2s"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(says(result, "generation 2 is rolled back: "));
  CHECK(says(result, "requests failed (5xx), 0.0 % of the others'; every worker is of generation 1"));
  CHECK(deployment.server.log_lines("generation 2 is rolled back").size() >= 1);
  CHECK(deployment.server.wait_ready(3));
  CHECK(all_of_generation(deployment.server, 1));
  CHECK(deployment.server.status().at("server").at("generation") == 1);
  const auto rollout = deployment.server.status().at("rollout");
  CHECK(rollout.at("result") == "failed");
  CHECK(rollout.at("generation") == 2);
  CHECK(rollout.at("message").get<std::string>().find("requests failed (5xx)") != std::string::npos);
}

TEST_CASE("a canary that is much slower than the others is rolled back", "[canary]") {
  const Deployment deployment(2);
  const LoadGenerator load(deployment.server.address(), {.target = "/", .threads = 16, .keep_alive = false});
  deployment.configure("delay_ms = 150\n");
  const ProgramResult result = deployment.reload({"--canary", "3s"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(says(result, "the p99 of "));
  CHECK(all_of_generation(deployment.server, 1));
}

TEST_CASE("a good canary is followed by the other workers after its time", "[canary]") {
  const Deployment deployment(2);
  LoadGenerator load(deployment.server.address(), {.target = "/", .threads = 2, .keep_alive = false});
  const auto begin = std::chrono::steady_clock::now();
  const ProgramResult result = deployment.reload({"--canary", "1s"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(std::chrono::steady_clock::now() - begin >= 1s);
  CHECK(deployment.server.log_has("worker 0 is the canary of generation 2 and is watched for 1 s"));
  CHECK(deployment.server.log_has("the canary is as good as the others"));
  CHECK(load.stop().failed() == 0);
}

TEST_CASE("the canary of a single worker is compared with what was answered before", "[canary]") {
  const Deployment deployment(1);
  for (int i = 0; i < 30; ++i) REQUIRE(get(deployment.server.address(), "/").status == 200);
  deployment.configure("fail_percent = 100");
  const LoadGenerator load(deployment.server.address(), {.target = "/", .threads = 2, .keep_alive = false});
  const ProgramResult result = deployment.reload({"--canary", "1s"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(says(result, "requests failed (5xx)"));
  CHECK(eventually(10s, [&] { return get(deployment.server.address(), "/").status == 200; }));
}

TEST_CASE("a canary that crashes is rolled back at once", "[canary]") {
  const Deployment deployment(2, "fail_percent = 0");
  const ServerProcess& server = deployment.server;
  REQUIRE(server.control_command({"reload", "--canary", "1h"}).status == 0);  // returns when it has begun
  REQUIRE(eventually(10s, [&] { return server.worker(0).at("generation") == 2; }));
  REQUIRE(::kill(server.worker(0).at("pid").get<pid_t>(), SIGKILL) == 0);
  CHECK(eventually(10s, [&] {
    return server.log_has("generation 2 is rolled back: worker 0, newly started, has ended: signal 9") &&
           all_of_generation(server, 1);
  }));
}

// It drained unattended, and its slot had no worker until the rollout had ended.
TEST_CASE("a worker that SIGTERM tells to leave during a rollout is replaced while its last request runs",
          "[canary][kill]") {
  const Deployment deployment(2);
  const ServerProcess& server = deployment.server;
  REQUIRE(server.control_command({"reload", "--canary", "1h"}).status == 0);
  REQUIRE(eventually(20s, [&] { return server.log_has("is the canary of generation 2"); }));
  const pid_t leaving = server.worker(1).at("pid").get<pid_t>();
  std::vector<HttpConnection> slow;
  REQUIRE(eventually(10s, [&] {
    slow.emplace_back(server.address()).send_raw("GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
    return server.worker(1).at("in_flight").get<int>() >= 2;  // /status itself may be one
  }));
  REQUIRE(::kill(leaving, SIGTERM) == 0);
  CHECK(eventually(10s, [&] {
    const auto worker = server.worker(1);
    return worker.at("old_pid") == leaving && worker.at("state") == "ready" && worker.at("generation") == 1;
  }));
  CHECK_FALSE(server.log_has("is rolled back"));
  slow.clear();
}

TEST_CASE("a canary that has left before the supervisor looks is rolled back for the same reason", "[canary][kill]") {
  const Deployment deployment(2);
  const ServerProcess& server = deployment.server;
  REQUIRE(server.control_command({"reload", "--canary", "1h"}).status == 0);
  REQUIRE(eventually(20s, [&] { return server.log_has("is the canary of generation 2"); }));
  const auto canary = server.worker(0).at("pid").get<pid_t>();
  server.signal(SIGSTOP);
  REQUIRE(::kill(canary, SIGTERM) == 0);
  CHECK(eventually(20s, [&] { return process_state(canary) == 'Z'; }));
  server.signal(SIGCONT);
  CHECK(eventually(20s, [&] {
    return server.log_has("generation 2 is rolled back: somebody has told the canary to leave (SIGTERM)");
  }));
  CHECK(eventually(20s, [&] { return all_of_generation(server, 1); }));
  CHECK_FALSE(server.log_has("exit status 0"));
}

TEST_CASE("a canary that SIGTERM tells to leave is rolled back", "[canary][kill]") {
  const Deployment deployment(2);
  const ServerProcess& server = deployment.server;
  REQUIRE(server.control_command({"reload", "--canary", "1h"}).status == 0);
  REQUIRE(eventually(20s, [&] { return server.log_has("is the canary of generation 2"); }));
  REQUIRE(::kill(server.worker(0).at("pid").get<pid_t>(), SIGTERM) == 0);
  CHECK(eventually(20s, [&] {
    return server.log_has("generation 2 is rolled back: somebody has told the canary to leave (SIGTERM)");
  }));
  CHECK(eventually(20s, [&] { return all_of_generation(server, 1); }));
}

TEST_CASE("rollback while a canary is watched ends the rollout", "[canary][rollback]") {
  const Deployment deployment(2);
  const ServerProcess& server = deployment.server;
  REQUIRE(server.control_command({"reload", "--canary", "1h"}).status == 0);
  REQUIRE(eventually(10s, [&] { return server.worker(0).at("generation") == 2; }));
  const ProgramResult result = server.control_command({"rollback", "--wait"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(all_of_generation(server, 1));
}

TEST_CASE("reload without --wait does not wait for a canary that is watched", "[canary]") {
  const Deployment deployment(2);
  const ServerProcess& server = deployment.server;
  REQUIRE(server.control_command({"reload", "--canary", "1h"}).status == 0);
  const ProgramResult second = server.control_command({"reload"});
  INFO(second.all());
  CHECK(second.status == 0);
  CHECK(says(second, "the new one follows it"));
}

TEST_CASE("reload --canary takes a duration", "[canary]") {
  const Deployment deployment(1);
  const ProgramResult result = deployment.reload({"--canary", "soon"});
  CHECK(result.status == 2);
  CHECK(says(result, "--canary: \"soon\""));
}

TEST_CASE("a canary that fails everything is judged immediately and stops serving, even while an old worker drains",
          "[canary]") {
  const Deployment deployment(1);
  const ServerProcess& server = deployment.server;
  for (int i = 0; i < 30; ++i) REQUIRE(get(server.address(), "/").status == 200);
  HttpConnection slow(server.address());  // keeps the old worker for as long as it takes
  slow.send_raw("GET /slow?ms=8000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight").get<int>() >= 2; }));
  deployment.configure("fail_percent = 100");
  REQUIRE(server.control_command({"reload", "--canary", "1h"}).status == 0);
  {
    const LoadGenerator load(server.address(), {.target = "/", .threads = 2, .keep_alive = false});
    REQUIRE(eventually(10s, [&] { return server.log_has("generation 2 is rolled back: 100.0 % of "); }));
  }
  CHECK(soon(server, "/", 200));
  for (int i = 0; i < 20; ++i) CHECK(get(server.address(), "/").status == 200);
  CHECK(server.processes().size() >= 3);  // the old worker still drains
  CHECK(slow.read_response().body == "slow");
}

TEST_CASE("a canary that hangs without answering is rolled back", "[canary]") {
  const Deployment deployment(2);
  deployment.configure("delay_ms = 600000");
  std::vector<HttpConnection> waiting;
  REQUIRE(deployment.server.control_command({"reload", "--canary", "3s"}).status == 0);
  REQUIRE(
      eventually(10s, [&] { return deployment.server.log_has("worker 0 has stopped"); }));  // now the canary accepts
  for (int i = 0; i < 12; ++i) {
    waiting.emplace_back(deployment.server.address()).send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  CHECK(eventually(20s, [&] {
    return deployment.server.log_has("generation 2 is rolled back: it has answered nothing for ") ||
           deployment.server.log_has("requests have not been answered");
  }));
  CHECK(eventually(20s, [&] { return all_of_generation(deployment.server, 1); }));
}

// A blocked canary answers too few requests to be judged by their latency, because others accept for it.
TEST_CASE("a canary whose event loop stands still is rolled back at once", "[canary]") {
  const Deployment deployment(2);
  const ServerProcess& server = deployment.server;
  deployment.configure("block_ms = 600000");
  REQUIRE(server.control_command({"reload", "--canary", "1h"}).status == 0);
  REQUIRE(eventually(20s, [&] { return server.log_has("worker 0 has stopped"); }));  // now the canary accepts
  const pid_t canary = server.worker(0).at("pid").get<pid_t>();
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 12; ++i) {
    waiting.emplace_back(server.address()).send_raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  CHECK(eventually(20s, [&] {
    return server.log_has("generation 2 is rolled back: its event loop has been blocked for ") ||
           server.log_has("generation 2 is rolled back: it has answered nothing for ");
  }));
  CHECK(eventually(20s, [&] { return all_of_generation(server, 1); }));
  ::kill(canary, SIGKILL);  // it would drain until its time is over
}

TEST_CASE("a canary whose few requests block its event loop is rolled back", "[canary]") {
  const Deployment deployment(1);
  const ServerProcess& server = deployment.server;
  for (int i = 0; i < 10; ++i) REQUIRE(get(server.address(), "/").status == 200);
  deployment.configure("block_ms = 300");
  REQUIRE(server.control_command({"reload", "--canary", "6s"}).status == 0);
  REQUIRE(eventually(20s, [&] { return server.log_has("is the canary of generation 2"); }));
  // Not a fixed number: the supervisor may see two of them as one long stall.
  CHECK(eventually(30s, [&] {
    return get(server.address(), "/").status == 200 &&
           server.log_has("generation 2 is rolled back: its event loop was blocked ");
  }));
}
