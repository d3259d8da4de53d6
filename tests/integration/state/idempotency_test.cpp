// POST /orders with an Idempotency-Key, with several workers that are killed, and with a Redis that goes.
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

Headers with(const std::string& key) { return {{"Idempotency-Key", key}}; }

HttpResponse order(const ServerProcess& server, const std::string& key, const std::string& target = "/orders") {
  return post(server.address(), target, "{}", with(key));
}

std::string raw_order(const std::string& key, const std::string& target) {
  return "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: " + key +
         "\r\nContent-Length: 2\r\n\r\n{}";
}

std::string orders_made(const RedisProcess& redis) { return redis.command({"GET", "demo:orders"}); }

// Waits until a worker other than `not_this` runs the request with the only key in Redis; its process.
pid_t wait_claimed(const RedisProcess& redis, pid_t not_this = 0) {
  pid_t pid = 0;
  REQUIRE(eventually(10s, [&] {
    const std::string key = redis.command({"KEYS", "*:i:*"});
    if (key.empty() || key.find('\n') != std::string::npos) return false;
    const std::string claim = redis.command({"HGET", key, "claim"});  // MACHINE:PID:START/NUMBER
    if (std::count(claim.begin(), claim.end(), ':') != 2) return false;
    pid = std::stoi(claim.substr(claim.find(':') + 1));
    return pid != not_this;
  }));
  return pid;
}

// The number of the order; 0: none within 20 s, or another answer than those that a client tries again after.
int order_until_answered(const ServerProcess& server, const std::string& key) {
  for (const auto deadline = Clock::now() + 20s; Clock::now() < deadline;) {
    try {
      const HttpResponse response = order(server, key, "/orders?ms=3");
      if (response.status == 201) return response.json().at("order").get<int>();
      if (response.status != 409 && response.status != 503) return 0;
    } catch (const ClientError&) {
    }
    std::this_thread::sleep_for(5ms);
  }
  return 0;
}

}  // namespace

TEST_CASE("of 50 parallel requests with one key exactly one is carried out", "[idempotency]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 3, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  std::vector<HttpConnection> connections;
  for (int i = 0; i < 50; ++i) connections.emplace_back(server.address());
  for (HttpConnection& connection : connections) REQUIRE(connection.send_raw(raw_order("k", "/orders?ms=100")));
  int carried_out = 0;
  for (HttpConnection& connection : connections) {
    const HttpResponse response = connection.read_response();
    if (response.status == 201) {
      CHECK(response.json().at("order") == 1);
      carried_out += response.has("Idempotency-Replayed") ? 0 : 1;
    } else {
      CHECK(response.status == 409);
      CHECK(response.header("Retry-After") == "1");
      CHECK(response.header("Content-Type") == "application/problem+json");
    }
  }
  CHECK(carried_out == 1);
  CHECK(orders_made(redis) == "1");
}

TEST_CASE("whichever worker gets the repetition replays the response of the first", "[idempotency]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 3, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  const HttpResponse first = order(server, "k");
  CHECK(first.status == 201);
  CHECK_FALSE(first.has("Idempotency-Replayed"));
  for (int i = 0; i < 12; ++i) {
    const HttpResponse again = order(server, "\"k\"");
    CHECK(again.status == 201);
    CHECK(again.body == first.body);
    CHECK(again.header("Idempotency-Replayed") == "true");
  }
  CHECK(order(server, "k", "/orders?ms=1").status == 422);
  CHECK(post(server.address(), "/orders", "[]", with("k")).status == 422);
  CHECK(order(server, "not a key").status == 400);
  CHECK(post(server.address(), "/orders", "{}").json().at("order") == 2);
}

TEST_CASE("a key can be used anew when it has expired", "[idempotency]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  CHECK(order(server, "k").json().at("order") == 1);
  const std::string key = redis.command({"KEYS", "*:i:*"});
  CHECK(std::stol(redis.command({"PTTL", key})) > 23 * 3'600'000);
  CHECK(redis.command({"PEXPIRE", key, "1"}) == "1");
  CHECK(eventually(5s, [&] { return order(server, "k").json().at("order") == 2; }));
}

// With survival_memory 0 the connection ends with its worker, so nobody but the new client sends the request again.
TEST_CASE("a killed worker frees its keys at once", "[idempotency]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url(), .arguments = {"--survival-memory", "0"}});
  REQUIRE(server.wait_ready_status(200));
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(raw_order("k", "/orders?ms=1000")));
  const pid_t victim = wait_claimed(redis);
  CHECK(order(server, "k", "/orders?ms=1000").status == 409);
  REQUIRE(::kill(victim, SIGKILL) == 0);
  // The lease does not end during the test, so only the death of its holder can free the key.
  CHECK(redis.command({"HSET", redis.command({"KEYS", "*:i:*"}), "until", "9000000000000"}) == "0");
  HttpResponse response;
  CHECK(eventually(20s, [&] { return (response = order(server, "k", "/orders?ms=1000")).status != 409; }));
  CHECK(response.status == 201);
  CHECK(response.json().at("order") == 1);
  CHECK(response.json().at("pid") != victim);
}

TEST_CASE("a request with a key whose worker is killed is run again on its connection", "[idempotency][survival]") {
  for (const int workers : {1, 3}) {
    CAPTURE(workers);
    const RedisProcess redis;
    const ServerProcess server({.workers = workers, .redis = redis.url()});
    REQUIRE(server.wait_ready_status(200));
    HttpConnection connection(server.address());
    REQUIRE(connection.send_raw(raw_order("k", "/orders?ms=700")));
    const pid_t victim = wait_claimed(redis);
    REQUIRE(::kill(victim, SIGKILL) == 0);
    const HttpResponse response = connection.read_response();
    CHECK(response.status == 201);
    CHECK(response.json().at("order") == 1);
    CHECK(response.json().at("pid") != victim);
    CHECK(connection.request("POST", "/orders?ms=700", with("k"), "{}").header("Idempotency-Replayed") == "true");
    CHECK(orders_made(redis) == "1");
    CHECK(server.status().at("totals").at("requests_replayed") == 1);
    CHECK(eventually(5s, [&] { return server.log_has(" handed over, 1 request run again"); }));
  }
}

TEST_CASE("a request with a key that had finished when its worker was killed is answered from Redis",
          "[idempotency][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(raw_order("k", "/orders?ms=60000")));
  const pid_t victim = wait_claimed(redis);
  // What the worker would have written just before it dies.
  const std::string key = redis.command({"KEYS", "*:i:*"});
  redis.command({"HSET", key, "status", "201", "type", "text/plain", "fields", "", "body", "made"});
  redis.command({"HDEL", key, "claim", "until"});
  REQUIRE(::kill(victim, SIGKILL) == 0);
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 201);
  CHECK(response.body == "made");
  CHECK(response.header("Idempotency-Replayed") == "true");
}

TEST_CASE("a request with a key is not run a third time, and its key is free", "[idempotency][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(raw_order("k", "/orders?ms=1500")));
  const pid_t first = wait_claimed(redis);
  REQUIRE(::kill(first, SIGKILL) == 0);
  const pid_t second = wait_claimed(redis, first);
  REQUIRE(::kill(second, SIGKILL) == 0);
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 503);
  CHECK(response.header("Retry-After") == "1");
  CHECK(connection.request("POST", "/orders?ms=1500", with("k"), "{}").json().at("order") == 1);
}

// Two clients for each key, which try again until they have an answer.
TEST_CASE("all clients of a key get the same answer while workers are killed", "[idempotency][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 3, .redis = redis.url(), .arguments = {"--quarantine-time", "0"}});
  REQUIRE(server.wait_ready_status(200));
  constexpr int kPairs = 4;
  std::array<std::vector<int>, 2 * kPairs> orders;
  std::atomic<bool> stopping = false;
  std::atomic<int> answered = 0;
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    clients.emplace_back([&, i] {
      for (int n = 0; n < 1000 && !stopping; ++n) {
        orders[i].push_back(order_until_answered(server, std::to_string(i / 2) + "-" + std::to_string(n)));
        ++answered;
      }
    });
  }
  for (int kills = 0; kills < 6; ++kills) {
    CHECK(eventually(20s, [&] { return answered > 40 * (kills + 1); }));
    CHECK(server.wait_ready(3));
    CHECK(::kill(server.worker(kills % 3).at("pid").get<pid_t>(), SIGKILL) == 0);
  }
  stopping = true;
  for (std::thread& client : clients) client.join();
  std::set<int> distinct;
  std::size_t answers = 0;
  for (std::size_t i = 0; i < orders.size(); i += 2) {
    const std::size_t both = std::min(orders[i].size(), orders[i + 1].size());
    for (std::size_t n = 0; n < both; ++n) {
      CHECK(orders[i][n] > 0);
      CHECK(orders[i][n] == orders[i + 1][n]);
      distinct.insert(orders[i][n]);
    }
    answers += both;
  }
  CHECK(answers > 50);
  CHECK(distinct.size() == answers);
}

TEST_CASE("a POST without a key is answered 503 when its worker is killed, also on an idempotent route",
          "[idempotency][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw("POST /orders?ms=60000 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight") == 2; }));
  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
  CHECK(connection.read_response().status == 503);
  CHECK(server.status().at("totals").at("requests_replayed") == 0);
}

TEST_CASE("a client that disconnects frees its key", "[idempotency]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  {
    HttpConnection connection(server.address());
    REQUIRE(connection.send_raw(raw_order("k", "/orders?ms=60000")));
    (void)wait_claimed(redis);
    connection.abort();
  }
  CHECK(eventually(10s, [&] { return redis.command({"KEYS", "*:i:*"}).empty(); }));
}

TEST_CASE("while Redis is down nothing with a key is carried out", "[idempotency][redis]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  redis.kill();
  REQUIRE(server.wait_ready_status(503));
  for (int i = 0; i < 6; ++i) {
    const HttpResponse response = order(server, "k");
    CHECK(response.status == 503);
    CHECK(std::stoi(response.header("Retry-After")) >= 1);
    CHECK(response.header("Content-Type") == "application/problem+json");
  }
  redis.restart();
  REQUIRE(server.wait_redis());
  CHECK(order(server, "k").json().at("order") == 1);
}

TEST_CASE("a request whose claim is lost while it runs gets its answer, and the log says so", "[idempotency][redis]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(raw_order("k", "/orders?ms=500")));
  (void)wait_claimed(redis);
  redis.command({"FLUSHALL"});
  CHECK(connection.read_response().status == 201);
  CHECK(redis.command({"KEYS", "*:i:*"}).empty());
  CHECK(eventually(5s, [&] { return server.log_has("could not be kept"); }));
}
