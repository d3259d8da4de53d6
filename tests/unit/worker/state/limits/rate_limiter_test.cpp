#include <cstdlib>
#include <sstream>
#include <vector>

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::LimitOutcome;

namespace {

LimitOutcome check(StateWorker& worker, const Limit& limit, const std::string& address = "192.0.2.1",
                   std::string_view name = "GET /limited") {
  Visit visit(worker, "", address);
  return worker.run(worker.state->limiter.check(visit.exchange.request, limit, name));
}

std::int64_t server_ms(const RedisProcess& redis) {
  const std::string time = redis.command({"TIME"});
  return std::stol(time) * 1000 + std::stol(time.substr(time.find('\n') + 1)) / 1000;
}

// How many of `count` checks that are under way at once are allowed.
int allowed_of(StateWorker& worker, const Limit& limit, int count) {
  std::vector<std::unique_ptr<Visit>> visits;
  std::vector<Task<LimitOutcome>> tasks;
  for (int i = 0; i < count; ++i) {
    visits.push_back(std::make_unique<Visit>(worker));
    tasks.push_back(worker.state->limiter.check(visits.back()->exchange.request, limit, "GET /limited"));
    tasks.back().start();
  }
  int allowed = 0;
  for (auto& task : tasks) allowed += worker.finish(task).allowed ? 1 : 0;
  return allowed;
}

}  // namespace

TEST_CASE("every algorithm is exact under 50 parallel checks", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Limit limit = per_client(10, minutes(60));
  SECTION("fixed window") {}
  SECTION("sliding window") { limit.sliding(); }
  SECTION("token bucket") { limit.bucket(); }
  CHECK(allowed_of(worker, limit, 50) == 10);
  CHECK((*worker.row)[Count::limits_refused].load() == 40);
  CHECK(allowed_of(worker, limit, 50) == 0);
}

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

TEST_CASE("a fixed window begins anew when it has passed", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(3, 100ms);
  CHECK(allowed_of(worker, limit, 3) == 3);
  CHECK(worker.wait([&] { return check(worker, limit).allowed; }, 5s));
}

TEST_CASE("a token bucket refills evenly", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(10, minutes(60)).bucket();
  const std::string key = "app:l:GET%20/limited:bucket-3600000:192.0.2.1";
  const auto empty_since = [&](std::int64_t ago_ms) {
    redis.command({"HSET", key, "tokens", "0", "at", std::to_string(server_ms(redis) - ago_ms)});
  };
  empty_since(minutes(15).count());  // 2.5 tokens
  CHECK(allowed_of(worker, limit, 20) == 2);
  const LimitOutcome refused = check(worker, limit);
  CHECK(refused.retry_after > 170);
  CHECK(refused.retry_after <= 180);
  empty_since(minutes(600).count());  // as many as it holds, not more
  CHECK(allowed_of(worker, limit, 20) == 10);
  empty_since(-minutes(15).count());  // the clock was set back
  CHECK(allowed_of(worker, limit, 20) == 0);
}

TEST_CASE("in a sliding window the one before counts as far as it is in view", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  constexpr std::int64_t kWindow = 3'600'000;
  const Limit limit = per_client(10, minutes(60)).sliding();
  const std::int64_t now = server_ms(redis);
  const std::int64_t elapsed = now % kWindow;
  const auto saved = [&](std::int64_t windows_ago, int current, int previous) {
    redis.command({"HSET", "app:l:GET%20/limited:sliding-3600000:192.0.2.1", "window",
                   std::to_string(now / kWindow - windows_ago), "current", std::to_string(current), "previous",
                   std::to_string(previous)});
  };
  const auto in_view = static_cast<int>((10 * (kWindow - elapsed) + kWindow - 1) / kWindow);  // rounded up
  saved(0, 0, 10);
  CHECK(allowed_of(worker, limit, 20) == 10 - in_view);
  saved(1, 10, 3);  // what was current is the one before now
  CHECK(allowed_of(worker, limit, 20) == 10 - in_view);
  CHECK(check(worker, limit).retry_after <= 361);
  saved(2, 10, 10);  // out of view
  CHECK(allowed_of(worker, limit, 20) == 10);
  // Until the next window begins, and a tenth of this one has left the view then.
  CHECK(std::abs(check(worker, limit).retry_after - ((kWindow - elapsed) / 1000 + 360)) <= 60);
  saved(-1, 10, 0);  // the clock was set back
  CHECK(allowed_of(worker, limit, 20) == 0);
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
