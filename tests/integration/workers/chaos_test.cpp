// Whatever happens to workers, nothing is leaked: no process, descriptor, file or mapping; and the counters add up.
#include <signal.h>

#include <functional>
#include <set>

#include "integration/workers/surroundings.h"
#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

void check_counters(const ServerProcess& server, int restarts) {
  nlohmann::json status;
  const bool quiet = eventually(5s, [&] {  // the connection of the request before may just be closing
    status = server.status();
    return status.at("totals").at("connections") == 1 && status.at("totals").at("in_flight") == 1;
  });
  INFO(status.dump());
  CHECK(quiet);
  const auto& totals = status.at("totals");
  std::uint64_t responses = 0;
  for (const char* kind : {"2xx", "3xx", "4xx", "5xx"})
    responses += totals.at("responses").at(kind).get<std::uint64_t>();
  CHECK(responses == totals.at("requests").get<std::uint64_t>());
  CHECK(totals.at("restarts") == restarts);
  std::uint64_t requests = 0;
  int worker_restarts = 0;
  for (const auto& worker : status.at("workers")) {
    CHECK(worker.at("state") == "ready");
    requests += worker.at("requests").get<std::uint64_t>();
    worker_restarts += worker.at("restarts").get<int>();
  }
  CHECK(requests == totals.at("requests").get<std::uint64_t>());
  CHECK(worker_restarts == restarts);
}

struct Chaos {
  std::function<void(const ServerProcess&)> happens;
  int workers = 2;
  int restarts = 1;  // that it costs
  std::vector<std::string> arguments{};
};

void survive(const Chaos& chaos) {
  const ServerProcess server({.workers = chaos.workers, .arguments = chaos.arguments, .environment = kPlainSignals});
  for (int i = 0; i < 20 * chaos.workers; ++i) (void)get(server.address(), "/hello");
  const Surroundings before(server);
  LoadGenerator load(server.address(), {.threads = 2, .keep_alive = false, .pause = 1ms});
  REQUIRE(load.wait_for(20));
  chaos.happens(server);
  REQUIRE(eventually(20s, [&] {
    return server.status().at("totals").at("restarts") == chaos.restarts && server.wait_ready(chaos.workers, 0ms);
  }));
  REQUIRE(load.wait_for(20));
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.count("refused") == 0);
  CHECK(report.count("timeout") == 0);
  before.check_unchanged();
  check_counters(server, chaos.restarts);
}

std::function<void(const ServerProcess&)> signalled(int number) {
  return [number](const ServerProcess& server) { REQUIRE(::kill(server.worker_pids().at(0), number) == 0); };
}

std::function<void(const ServerProcess&)> crashed(const std::string& how) {
  return [how](const ServerProcess& server) {
    HttpConnection connection(server.address(), 15s);
    CHECK(connection.request("POST", "/crash?how=" + how).status == (how == "exit" ? 503 : 500));
  };
}

void kill_all(const ServerProcess& server) {
  for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
}

}  // namespace

TEST_CASE("SIGKILL of a worker leaves nothing behind", "[chaos]") { survive({signalled(SIGKILL)}); }

TEST_CASE("SIGSTOP of a worker leaves nothing behind", "[chaos]") {
  survive({.happens = signalled(SIGSTOP), .arguments = {"--worker-timeout", "1s"}});
}

TEST_CASE("a segmentation fault in a handler leaves nothing behind", "[chaos]") { survive({crashed("segv")}); }

TEST_CASE("abort() in a handler leaves nothing behind", "[chaos]") { survive({crashed("abort")}); }

TEST_CASE("exit() in a handler leaves nothing behind", "[chaos]") { survive({crashed("exit")}); }

TEST_CASE("an infinite loop in a handler leaves nothing behind", "[chaos]") {
  survive({.happens = crashed("hang"), .arguments = {"--worker-timeout", "1s"}});
}

TEST_CASE("all workers killed at once leave nothing behind", "[chaos]") {
  survive({.happens = kill_all, .workers = 3, .restarts = 3});
}

TEST_CASE("a hundred restarts leak nothing", "[chaos]") {
  constexpr int kWorkers = 25;
  constexpr int kRounds = 4;  // more in a row would wait for the backoff
  const auto many = [](const ServerProcess& server) {
    for (int round = 0; round < kRounds; ++round) {
      kill_all(server);
      REQUIRE(eventually(20s, [&] {
        return server.status().at("totals").at("restarts") == kWorkers * (round + 1) &&
               server.wait_ready(kWorkers, 0ms);
      }));
    }
  };
  survive({.happens = many, .workers = kWorkers, .restarts = kWorkers * kRounds});
}

TEST_CASE("a worker killed during a reload leaves nothing behind", "[chaos][reload]") {
  const ServerProcess server({.workers = 3});
  for (int i = 0; i < 60; ++i) (void)get(server.address(), "/hello");
  // Afterwards the generation before is kept, and libuv has the descriptor that it keeps in reserve.
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  REQUIRE(server.wait_ready(3));  // the last of the old workers has ended
  const Surroundings before(server);
  LoadGenerator load(server.address(), {.threads = 2, .keep_alive = false, .pause = 1ms});
  REQUIRE(load.wait_for(20));
  server.signal(SIGHUP);
  kill_all(server);
  const auto generation_of_all = [&server]() -> std::int64_t {
    std::set<std::int64_t> generations;
    const auto status = server.status();
    for (const auto& worker : status.at("workers")) generations.insert(worker.at("generation").get<std::int64_t>());
    return generations.size() == 1 ? *generations.begin() : 0;
  };
  REQUIRE(eventually(20s, [&] { return server.wait_ready(3, 0ms) && generation_of_all() != 0; }));
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.count("refused") == 0);
  before.check_unchanged();
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  before.check_unchanged();
}
