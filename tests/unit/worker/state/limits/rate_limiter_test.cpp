#include <sstream>

#include "unit/worker/state/limits/checks.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

TEST_CASE("two workers share one count", "[limit]") {
  RedisProcess redis;
  StateWorker one(redis.url());
  StateWorker two(redis.url());
  one.ready();
  two.ready();
  const Limit limit = per_client(10, 1min);
  CHECK(allowed_of(one, limit, 6) + allowed_of(two, limit, 20) == 10);
}

TEST_CASE("an allowed request learns how many remain, a refused one learns when to retry", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(2, 10s);
  const LimitDecision first = check(worker, limit);
  CHECK(first.allowed);
  REQUIRE(first.outcomes.size() == 1);
  CHECK(first.outcomes[0].count == 2);
  CHECK(first.outcomes[0].remaining == 1);
  CHECK(first.outcomes[0].reset == 10s);
  CHECK(check(worker, limit).outcomes[0].remaining == 0);
  const LimitDecision refused = check(worker, limit);
  CHECK_FALSE(refused.allowed);
  CHECK(refused.status == 429);
  CHECK(refused.retry_after >= 5s);
  CHECK(refused.retry_after <= 10s);
  CHECK(refused.outcomes[0].reset == refused.retry_after);
}

// Checked one after the other, a request that the second limit refused had used up a request of the first.
TEST_CASE("a request that one limit refuses counts for none", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (const LimitAlgorithm algorithm : {LimitAlgorithm::fixed_window, LimitAlgorithm::sliding_window,
                                         LimitAlgorithm::token_bucket, LimitAlgorithm::gcra}) {
    CAPTURE(worker::algorithm_name(algorithm));
    Limit wide = per_client(5, 60min).named("wide");
    wide.algorithm = algorithm;
    const std::vector<Limit> limits{wide, per_client(2, 60min).named("narrow")};
    const std::string route = std::string("GET /") + worker::algorithm_name(algorithm);
    CHECK(check(worker, limits, "192.0.2.1", route).allowed);
    CHECK(check(worker, limits, "192.0.2.1", route).allowed);
    for (int i = 0; i < 3; ++i) {
      const LimitDecision refused = check(worker, limits, "192.0.2.1", route);
      CHECK_FALSE(refused.allowed);
      CHECK(refused.outcomes[0].allowed);
      CHECK(refused.outcomes[0].remaining == 3);  // it was 2, as if this request had counted
      CHECK_FALSE(refused.outcomes[1].allowed);
    }
    CHECK(check(worker, wide, "192.0.2.1", route).outcomes[0].remaining == 2);
  }
}

TEST_CASE("several limits cost one round trip", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::vector<Limit> limits{per_client(5, 1s), per_client(50, 1min), per_client(2, 1min).concurrent()};
  (void)check(worker, per_client(1, 1min));  // Redis knows the script now
  const auto before = (*worker.row)[Count::redis_commands].load();
  Visit visit(worker);
  const std::vector<std::string> names{"a", "b", "c"};
  CHECK(worker.run(worker.state->limiter.check(visit.exchange.request, limits, names)).allowed);
  CHECK((*worker.row)[Count::redis_commands].load() - before == 1);
}

TEST_CASE("a concurrency limit counts requests until they end", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(2, 1min).concurrent();
  const std::vector<std::string> names{"GET /limited"};
  const auto allowed = [&](Visit& visit) {
    return worker.run(worker.state->limiter.check(visit.exchange.request, std::span(&limit, 1), names)).allowed;
  };
  auto first = std::make_unique<Visit>(worker);
  Visit second(worker);
  CHECK(allowed(*first));
  CHECK(allowed(second));
  const LimitDecision refused = check(worker, limit);
  CHECK_FALSE(refused.allowed);
  CHECK(refused.retry_after == 1s);
  CHECK(check(worker, limit, "192.0.2.2").allowed);
  first.reset();
  CHECK(check(worker, limit).allowed);  // and ends at once
  Visit third(worker);
  CHECK(allowed(third));
  CHECK_FALSE(check(worker, limit).allowed);
}

TEST_CASE("a request that ends while a concurrency limit is checked does not count on", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(1, 1min).concurrent();
  const std::vector<std::string> names{"GET /limited"};
  (void)check(worker, limit);
  {
    Visit visit(worker);
    Task<LimitDecision> task = worker.state->limiter.check(visit.exchange.request, std::span(&limit, 1), names);
    task.start();
    task.reset();
  }
  CHECK(check(worker, limit).allowed);
}

TEST_CASE("requests of a worker that was killed stop counting after the window", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(1, 100ms).concurrent();
  const std::vector<std::string> names{"GET /limited"};
  Visit lost(worker);
  CHECK(worker.run(worker.state->limiter.check(lost.exchange.request, std::span(&limit, 1), names)).allowed);
  CHECK(worker.wait([&] { return check(worker, limit).allowed; }));
}

TEST_CASE("clients, routes and algorithms are counted apart", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Limit limit = per_client(1, 1min);
  CHECK(check(worker, limit, "192.0.2.1").allowed);
  CHECK_FALSE(check(worker, limit, "192.0.2.1").allowed);
  CHECK(check(worker, limit, "2001:db8::1").allowed);
  CHECK(check(worker, limit, "192.0.2.1", "POST /limited").allowed);
  CHECK(check(worker, limit.sliding(), "192.0.2.1").allowed);
  CHECK(check(worker, limit.bucket(), "192.0.2.1").allowed);
  CHECK(check(worker, limit.gcra(), "192.0.2.1").allowed);
  CHECK(check(worker, limit.concurrent(), "192.0.2.1").allowed);
}

TEST_CASE("the addresses of one IPv6 /64 are one client", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(1, 1min);
  CHECK(check(worker, limit, "2001:db8:0:1::1").allowed);
  CHECK_FALSE(check(worker, limit, "2001:db8:0:1:ffff::2").allowed);
  CHECK(check(worker, limit, "2001:db8:0:2::1").allowed);
}

TEST_CASE("the key of a limit is bounded and expires for any text from a client", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::string name;
  Limit limit = per_key(5, 1min, [&name](Request&) { return name; });
  std::vector<std::string> names{"", std::string(100'000, 'x'), std::string("\0\r\n*{}", 6), "{a}", "name with blanks"};
  for (const std::string& hostile : names) {
    name = hostile;
    for (auto* change : {+[](Limit& l) { l.algorithm = LimitAlgorithm::fixed_window; }, +[](Limit& l) { l.sliding(); },
                         +[](Limit& l) { l.bucket(); }, +[](Limit& l) { l.gcra(); }}) {
      change(limit);
      CHECK(check(worker, limit, "192.0.2.1", "GET /users/{id}").outcomes.at(0).remaining == 4);
    }
  }
  std::istringstream keys(redis.command({"KEYS", "*"}));
  int count = 0;
  for (std::string key; std::getline(keys, key); ++count) {
    INFO(key);
    CHECK(key.starts_with("app:l:GET%20/users/%7Bid%7D:"));
    CHECK(key.size() < 120);
    CHECK(std::stol(redis.command({"PTTL", key})) > 0);
  }
  CHECK(count == 20);
}

TEST_CASE("while Redis is unavailable a limit allows, or denies if it is configured to", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  redis.kill();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  Limit limit = per_client(1, 1min);
  for (int i = 0; i < 3; ++i) {
    const LimitDecision decision = check(worker, limit);
    CHECK(decision.allowed);
    CHECK(decision.outcomes.empty());
  }
  CHECK((*worker.row)[Count::limits_unavailable].load() == 3);
  const LimitDecision denied = check(worker, limit.deny_when_unavailable());
  CHECK_FALSE(denied.allowed);
  CHECK(denied.status == 503);
  CHECK(denied.retry_after >= 1s);
  CHECK((*worker.row)[Count::limits_unavailable].load() == 4);
  CHECK((*worker.row)[Count::limits_refused].load() == 0);
}

TEST_CASE("with --redis none a limit behaves as if Redis were unavailable", "[limit]") {
  StateWorker worker("none");
  Limit limit = per_client(1, 1min);
  CHECK(check(worker, limit).allowed);
  CHECK_FALSE(check(worker, limit.deny_when_unavailable()).allowed);
}
