// Rate limits while workers are killed: places of concurrency limits, and leased permits.
#include <signal.h>

#include <memory>
#include <string>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

struct Setup {
  RedisProcess redis;
  ServerProcess server;
  explicit Setup(int workers, std::vector<std::string> arguments = {})
      : server({.app = app_path("apps/limits"),
                .workers = workers,
                .redis = redis.url(),
                .arguments = std::move(arguments)}) {
    REQUIRE(server.wait_ready_status(200));
    REQUIRE(server.wait_redis());
  }
  void kill_worker(int slot) const {
    const auto victim = server.worker(slot).at("pid").get<pid_t>();
    REQUIRE(::kill(victim, SIGKILL) == 0);
    REQUIRE(eventually(20s, [&] {
      const auto worker = server.worker(slot);
      return worker.at("pid") != victim && worker.at("state") == "ready";
    }));
  }
  [[nodiscard]] std::string places() const {
    const std::string key = redis.command({"KEYS", "*:l:*concurrent-*"});
    return key.empty() ? "0" : redis.command({"ZCARD", key});
  }
};

}  // namespace

// The requests of a killed worker are run again by another one, which refused them: the dead worker had their places.
TEST_CASE("requests of a killed worker that run again find their places in a concurrency limit", "[limit][kill]") {
  const Setup setup(1);
  HttpConnection one(setup.server.address());
  HttpConnection two(setup.server.address());
  one.send_raw("GET /slow?id=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  two.send_raw("GET /slow?id=2 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(20s, [&] { return setup.places() == "2"; }));
  REQUIRE(eventually(20s, [&] { return setup.redis.command({"EXISTS", "runs:1", "runs:2"}) == "2"; }));
  setup.kill_worker(0);
  CHECK(one.read_response().status == 200);
  CHECK(two.read_response().status == 200);
  CHECK(eventually(20s, [&] { return setup.places() == "0"; }));
}

TEST_CASE("the places of a killed worker are free for other clients' requests, not only after the window",
          "[limit][kill]") {
  // Without survival, nobody takes up the requests of the worker that is killed.
  const Setup setup(2, {"--survival-memory", "0"});
  std::vector<std::unique_ptr<HttpConnection>> connections;
  for (const char* id : {"1", "2"}) {
    connections.push_back(std::make_unique<HttpConnection>(setup.server.address()));
    connections.back()->send_raw("GET /slow?id=" + std::string(id) + " HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  REQUIRE(eventually(20s, [&] { return setup.places() == "2"; }));
  REQUIRE(get(setup.server.address(), "/slow?id=3").status == 429);
  for (int slot = 0; slot < 2; ++slot) setup.kill_worker(slot);
  REQUIRE(setup.places() == "2");
  setup.redis.command({"SET", "runs:4", "1"});
  CHECK(eventually(20s, [&] { return get(setup.server.address(), "/slow?id=4").status == 200; }));
}

TEST_CASE("workers of a machine draw from one lease, and a killed one loses no permit", "[limit][leases][kill]") {
  const Setup setup(2);
  int allowed = 0;
  const auto ask = [&](int requests) {
    for (int i = 0; i < requests; ++i) allowed += get(setup.server.address(), "/leased").status == 200 ? 1 : 0;
  };
  ask(97);  // somewhere within a lease
  setup.kill_worker(0);
  ask(50);
  setup.kill_worker(1);
  ask(353);
  CHECK(allowed == 400);
  const auto totals = setup.server.status().at("totals");
  CHECK(totals.at("limits_refused") == 100);
  CHECK(totals.at("limits_leased") >= 350);
}

TEST_CASE("leases that many clients draw from at the same time, while workers are killed", "[limit][leases][kill]") {
  const Setup setup(3);
  std::atomic<int> allowed = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      for (int n = 0; n < 200; ++n) {
        try {
          allowed += get(setup.server.address(), "/leased").status == 200 ? 1 : 0;
        } catch (const std::exception&) {  // its worker died before it had answered
        }
      }
    });
  }
  for (int slot = 0; slot < 3; ++slot) setup.kill_worker(slot);
  for (std::thread& client : clients) client.join();
  INFO("allowed " << allowed);
  CHECK(allowed <= 400);
  // Each death may have cost a lease that was on its way, and requests that were run twice.
  CHECK(allowed >= 400 - 3 * (20 + 4));
}

TEST_CASE("a limit in shadow mode is told of by /status and the log, not by responses", "[limit][shadow]") {
  const Setup setup(1);
  for (int i = 0; i < 10; ++i) {
    const HttpResponse response = get(setup.server.address(), "/shadow");
    CHECK(response.status == 200);
    CHECK_FALSE(response.has("RateLimit"));
    CHECK_FALSE(response.has("RateLimit-Policy"));
  }
  CHECK(setup.server.status().at("totals").at("limits_shadowed") == 7);
  CHECK(setup.server.log_lines("a rate limit in shadow mode would have refused").size() == 1);
}
