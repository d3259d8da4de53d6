#include <sstream>

#include "unit/worker/state/limits/checks.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("two workers share one count", "[limit]") {
  RedisProcess redis;
  StateWorker one(redis.url());
  StateWorker two(redis.url());
  one.ready();
  two.ready();
  const Limit limit = per_client(10, minutes(1));
  CHECK(allowed_of(one, limit, 6) + allowed_of(two, limit, 20) == 10);
}

TEST_CASE("an allowed request is told what is left, a refused one when to come back", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(2, seconds(10));
  const LimitOutcome first = check(worker, limit);
  CHECK(first.allowed);
  CHECK(first.limit == 2);
  CHECK(first.remaining == 1);
  CHECK(first.reset == 10s);
  CHECK(check(worker, limit).remaining == 0);
  const LimitOutcome refused = check(worker, limit);
  CHECK_FALSE(refused.allowed);
  CHECK(refused.status == 429);
  CHECK(refused.retry_after >= 5);
  CHECK(refused.retry_after <= 10);

  const Response response = worker::limit_response(refused);
  CHECK(response.status() == 429);
  CHECK(response.content_type() == "application/problem+json");
  CHECK(response.header("Retry-After") == std::to_string(refused.retry_after));
  CHECK(response.header("RateLimit-Limit") == "2");
  CHECK(response.header("RateLimit-Remaining") == "0");
  CHECK(response.header("RateLimit-Reset") == std::to_string(refused.retry_after));
}

TEST_CASE("clients, routes and algorithms are counted apart", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Limit limit = per_client(1, minutes(1));
  CHECK(check(worker, limit, "192.0.2.1").allowed);
  CHECK_FALSE(check(worker, limit, "192.0.2.1").allowed);
  CHECK(check(worker, limit, "2001:db8::1").allowed);
  CHECK(check(worker, limit, "192.0.2.1", "POST /limited").allowed);
  CHECK(check(worker, limit.sliding(), "192.0.2.1").allowed);
  CHECK(check(worker, limit.bucket(), "192.0.2.1").allowed);
}

TEST_CASE("the addresses of one IPv6 /64 are one client", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(1, minutes(1));
  CHECK(check(worker, limit, "2001:db8:0:1::1").allowed);
  CHECK_FALSE(check(worker, limit, "2001:db8:0:1:ffff::2").allowed);
  CHECK(check(worker, limit, "2001:db8:0:2::1").allowed);
}

TEST_CASE("whatever a client calls itself, the key is bounded and expires", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::string name;
  Limit limit = per_key(5, minutes(1), [&name](Request&) { return name; });
  std::vector<std::string> names{"", std::string(100'000, 'x'), std::string("\0\r\n*{}", 6), "{a}", "name with blanks"};
  for (const std::string& hostile : names) {
    name = hostile;
    for (auto* change : {+[](Limit& l) { l.algorithm = LimitAlgorithm::fixed_window; }, +[](Limit& l) { l.sliding(); },
                         +[](Limit& l) { l.bucket(); }}) {
      change(limit);
      CHECK(check(worker, limit, "192.0.2.1", "GET /users/{id}").remaining == 4);
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
  CHECK(count == 15);
}

TEST_CASE("a limit of zero refuses everybody", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  CHECK(check(worker, per_client(0, seconds(3))).retry_after == 3);
}

TEST_CASE("while Redis is away a limit allows, or denies when it is told to", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  redis.kill();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  Limit limit = per_client(1, minutes(1));
  for (int i = 0; i < 3; ++i) {
    const LimitOutcome outcome = check(worker, limit);
    CHECK(outcome.allowed);
    CHECK(outcome.unavailable);
  }
  CHECK((*worker.row)[Count::limits_unavailable].load() == 3);
  Response shown(200);
  worker::add_limit_fields(shown, check(worker, limit));
  CHECK_FALSE(shown.header("RateLimit-Limit"));

  const LimitOutcome denied = check(worker, limit.deny_when_unavailable());
  CHECK_FALSE(denied.allowed);
  const Response response = worker::limit_response(denied);
  CHECK(response.status() == 503);
  CHECK(std::stoi(std::string(response.header("Retry-After").value_or("0"))) >= 1);
  CHECK((*worker.row)[Count::limits_unavailable].load() == 5);
  CHECK((*worker.row)[Count::limits_refused].load() == 0);
}

TEST_CASE("with --redis none a limit behaves as if Redis were away", "[limit]") {
  StateWorker worker("none");
  Limit limit = per_client(1, minutes(1));
  CHECK(check(worker, limit).allowed);
  CHECK_FALSE(check(worker, limit.deny_when_unavailable()).allowed);
}

TEST_CASE("the tightest of several limits is shown", "[limit]") {
  LimitOutcome wide;
  wide.remaining = 50;
  LimitOutcome narrow;
  narrow.remaining = 2;
  CHECK(worker::tighter(wide, narrow).remaining == 2);
  CHECK(worker::tighter(narrow, wide).remaining == 2);
  LimitOutcome refused;
  refused.allowed = false;
  CHECK_FALSE(worker::tighter(narrow, refused).allowed);
  LimitOutcome unknown;
  unknown.unavailable = true;
  CHECK(worker::tighter(unknown, wide).remaining == 50);
}
