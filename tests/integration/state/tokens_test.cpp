// The token routes of the demo, over several workers that share a key in Redis.
#include <signal.h>

#include <set>
#include <string>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

struct Setup {
  RedisProcess redis;
  ServerProcess server{{.workers = 2, .redis = redis.url()}};
  Setup() { REQUIRE(server.wait_ready_status(200)); }

  nlohmann::json login() const {
    const HttpResponse response = post(server.address(), "/token", "user=Ann", {{"Content-Type", kForm}});
    REQUIRE(response.status == 200);
    return response.json();
  }
  HttpResponse refresh(const std::string& token) const {
    return post(server.address(), "/token/refresh", nlohmann::json{{"refresh", token}}.dump(),
                {{"Content-Type", "application/json"}});
  }
  HttpResponse private_page(const std::string& token) const {
    return get(server.address(), "/private", {{"Authorization", "Bearer " + token}});
  }
  // The statuses of several requests, each on a connection of its own, so that each worker gets some.
  std::set<int> statuses(const std::string& token) const {
    std::set<int> seen;
    for (int i = 0; i < 12; ++i) seen.insert(private_page(token).status);
    return seen;
  }

  static constexpr const char* kForm = "application/x-www-form-urlencoded";
};

}  // namespace

// The demo had no key yet, and answered 500.
TEST_CASE("a Redis that is full from the start makes tokens unavailable until there is room", "[token][redis]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  REQUIRE(server.wait_ready_status(200));
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  const Headers form{{"Content-Type", Setup::kForm}};
  CHECK(post(server.address(), "/token", "user=Ann", form).status == 503);
  redis.command({"CONFIG", "SET", "maxmemory", "0"});
  CHECK(eventually(10s, [&] { return post(server.address(), "/token", "user=Ann", form).status == 200; }));
}

TEST_CASE("every worker accepts the token that one has issued", "[token]") {
  const Setup setup;
  const nlohmann::json pair = setup.login();
  CHECK(pair.at("expires_in") == 600);
  for (int i = 0; i < 12; ++i) {
    const HttpResponse response = setup.private_page(pair.at("access"));
    CHECK(response.status == 200);
    CHECK(response.json() == nlohmann::json{{"user", "Ann"}});
  }
  const HttpResponse json =
      post(setup.server.address(), "/token", R"({"user":"Bea"})", {{"Content-Type", "application/json"}});
  CHECK(setup.private_page(json.json().at("access")).json().at("user") == "Bea");
  CHECK(json.header("Cache-Control") == "no-store");
  CHECK(post(setup.server.address(), "/token", "user=", {{"Content-Type", Setup::kForm}}).status == 400);
}

TEST_CASE("the private page asks for a token", "[token]") {
  const Setup setup;
  const HttpResponse without = get(setup.server.address(), "/private");
  CHECK(without.status == 401);
  CHECK(without.header("WWW-Authenticate") == "Bearer realm=\"demo\"");
  const HttpResponse wrong = setup.private_page("eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.");
  CHECK(wrong.status == 401);
  CHECK(wrong.header("WWW-Authenticate").find("error=\"invalid_token\"") != std::string::npos);
  CHECK(post(setup.server.address(), "/token/revoke").status == 401);
}

TEST_CASE("a revoked token is refused by every worker", "[token]") {
  const Setup setup;
  const std::string access = setup.login().at("access");
  CHECK(setup.statuses(access) == std::set<int>{200});
  CHECK(post(setup.server.address(), "/token/revoke", "", {{"Authorization", "Bearer " + access}}).status == 204);
  CHECK(setup.statuses(access) == std::set<int>{401});
}

TEST_CASE("a refresh token that is used twice ends its family on every worker", "[token]") {
  const Setup setup;
  const nlohmann::json first = setup.login();
  const HttpResponse answer = setup.refresh(first.at("refresh"));
  REQUIRE(answer.status == 200);
  const nlohmann::json second = answer.json();
  CHECK(setup.statuses(second.at("access")) == std::set<int>{200});
  CHECK(setup.refresh(first.at("refresh")).status == 401);
  CHECK(setup.refresh(second.at("refresh")).status == 401);
  CHECK(setup.statuses(second.at("access")) == std::set<int>{401});
  CHECK(setup.refresh("").status == 401);
  CHECK(post(setup.server.address(), "/token/refresh", "{}", {{"Content-Type", "application/json"}}).status == 400);
}

TEST_CASE("tokens outlive a reload and the death of workers", "[token]") {
  const Setup setup;
  const nlohmann::json pair = setup.login();
  setup.server.signal(SIGHUP);
  REQUIRE(eventually(20s, [&setup] {
    for (const int slot : {0, 1}) {
      const nlohmann::json worker = setup.server.worker(slot);
      if (worker.is_null() || worker.at("generation") != 2 || worker.at("state") != "ready") return false;
    }
    return true;
  }));
  CHECK(setup.statuses(pair.at("access")) == std::set<int>{200});
  for (const pid_t worker : setup.server.worker_pids()) ::kill(worker, SIGKILL);
  REQUIRE(setup.server.wait_ready(2));
  CHECK(setup.statuses(pair.at("access")) == std::set<int>{200});
  CHECK(setup.refresh(pair.at("refresh")).status == 200);
}

TEST_CASE("without Redis the token routes answer 503, and with a Redis that has gone", "[token]") {
  const ServerProcess without({.workers = 1});
  CHECK(post(without.address(), "/token", "user=Ann", {{"Content-Type", Setup::kForm}}).status == 503);
  Setup setup;
  const nlohmann::json pair = setup.login();
  setup.redis.kill();
  const HttpResponse refused = setup.private_page(pair.at("access"));
  CHECK(refused.status == 503);
  CHECK(refused.has("Retry-After"));
  CHECK(setup.refresh(pair.at("refresh")).status == 503);
  CHECK(get(setup.server.address(), "/private").status == 401);
}
