// Limits with leased(): permits in shared memory, with a real Redis and several workers.
#include <array>
#include <memory>
#include <string>

#include "unit/worker/state/limits/checks.h"
#include "worker/state/limits/rate_limiter.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;
using worker::RateLimiter;

namespace {

// Rate limiters of one machine: they share a table, as workers do.
struct Machine {
  std::unique_ptr<LeaseTable> table = std::make_unique<LeaseTable>();
  std::unique_ptr<RateLimiter> limiter(StateWorker& worker) {
    return std::make_unique<RateLimiter>(worker.state->redis.get(), config_for("unix:"), *worker.row, table.get());
  }
};

LimitDecision check_with(StateWorker& worker, RateLimiter& limiter, const std::vector<Limit>& limits,
                         const std::string& address = "192.0.2.1") {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < limits.size(); ++i) names.push_back("GET /hot#" + std::to_string(i));
  Visit visit(worker, "", address);
  return worker.run(limiter.check(visit.exchange.request, limits, names));
}

int allowed_with(StateWorker& worker, RateLimiter& limiter, const Limit& limit, int requests) {
  int allowed = 0;
  for (int i = 0; i < requests; ++i) allowed += check_with(worker, limiter, {limit}).allowed ? 1 : 0;
  return allowed;
}

std::uint64_t commands(StateWorker& worker) { return (*worker.row)[Count::redis_commands].load(); }

Limit with(LimitAlgorithm algorithm, Limit limit) {
  limit.algorithm = algorithm;
  return limit;
}

constexpr std::array kLeasable{LimitAlgorithm::fixed_window, LimitAlgorithm::sliding_window,
                               LimitAlgorithm::token_bucket, LimitAlgorithm::gcra};

}  // namespace

// RateLimit said t=11 for a window of ten seconds, and Retry-After the same.
TEST_CASE("a limit with leases resets within its window", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (const LimitAlgorithm algorithm :
       {LimitAlgorithm::fixed_window, LimitAlgorithm::token_bucket, LimitAlgorithm::gcra}) {
    CAPTURE(worker::algorithm_name(algorithm));
    Machine machine;
    const auto limiter = machine.limiter(worker);
    const Limit limit = with(algorithm, per_client(5, 10s).leased(2));
    for (int i = 0; i < 8; ++i) {
      const LimitDecision decision = check_with(worker, *limiter, {limit});
      CHECK(decision.outcomes.at(0).reset <= 10s);
      CHECK(decision.retry_after <= 10s);
    }
  }
}

TEST_CASE("two workers of a machine allow exactly as many requests with leases as without", "[limit][leases]") {
  RedisProcess redis;
  StateWorker one(redis.url());
  StateWorker two(redis.url());
  one.ready();
  two.ready();
  for (const LimitAlgorithm algorithm : kLeasable) {
    CAPTURE(worker::algorithm_name(algorithm));
    Machine machine;
    const auto first = machine.limiter(one);
    const auto second = machine.limiter(two);
    const Limit limit = with(algorithm, per_client(200, 24h).leased(20));
    int allowed = 0;
    for (int i = 0; i < 150; ++i) {
      allowed += check_with(one, *first, {limit}).allowed ? 1 : 0;
      allowed += check_with(two, *second, {limit}).allowed ? 1 : 0;
    }
    CHECK(allowed == 200);
  }
}

TEST_CASE("a machine leases at most half of what Redis has left", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  // The first request of a key takes one permit, the second half of the nine that are left.
  for (int i = 0; i < 2; ++i) CHECK(check_with(worker, *limiter, {per_client(10, 24h).leased(8)}).allowed);
  CHECK(redis.command({"GET", redis.command({"KEYS", "app:l:*"})}) == "5");
}

TEST_CASE("most requests of a hot key cost no round trip, refused ones neither", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  const Limit limit = per_client(10'000, 24h).leased();  // 500 at once
  CHECK(allowed_with(worker, *limiter, limit, 1'000) == 1'000);
  CHECK(commands(worker) <= 6);  // the script is loaded, two single ones, and the leases
  CHECK((*worker.row)[Count::limits_leased].load() >= 990);

  const Limit small = per_client(100, 24h).leased(50).named("small").bucket();
  (void)allowed_with(worker, *limiter, small, 100);
  const auto before = commands(worker);
  CHECK(allowed_with(worker, *limiter, small, 200) == 0);
  CHECK(commands(worker) - before < 20);  // one each second
}

TEST_CASE("a key that is seen once is not leased", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  const Limit limit = per_client(1'000, 24h).leased(100);
  for (int i = 1; i <= 50; ++i) {
    const auto decision = check_with(worker, *limiter, {limit}, "192.0.2." + std::to_string(i));
    CHECK(decision.outcomes.at(0).remaining == 999);
  }
  std::istringstream keys(redis.command({"KEYS", "*:l:*"}));
  for (std::string key; std::getline(keys, key);) CHECK(redis.command({"GET", key}) == "1");
}

TEST_CASE("the remaining requests count down, whether they were leased or not", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  const Limit limit = per_client(100, 24h).leased(10);
  for (std::uint32_t left = 100; left-- > 0;) {
    const LimitDecision decision = check_with(worker, *limiter, {limit});
    REQUIRE(decision.allowed);
    CHECK(decision.outcomes.at(0).remaining == left);
    CHECK(decision.outcomes.at(0).reset >= 86'000s);
  }
  CHECK_FALSE(check_with(worker, *limiter, {limit}).allowed);
}

// The documented bound: a machine holds back at most as many permits as it leases at once.
TEST_CASE("of two machines, one holds back no more permits from the other than it leases", "[limit][leases]") {
  RedisProcess redis;
  StateWorker here(redis.url());
  StateWorker there(redis.url());
  here.ready();
  there.ready();
  for (const LimitAlgorithm algorithm : kLeasable) {
    CAPTURE(worker::algorithm_name(algorithm));
    Machine first_machine;
    Machine second_machine;
    const auto first = first_machine.limiter(here);
    const auto second = second_machine.limiter(there);
    const Limit limit = with(algorithm, per_client(300, 24h).leased(30));
    const int here_allowed = allowed_with(here, *first, limit, 5);
    const int there_allowed = allowed_with(there, *second, limit, 400);
    CHECK(here_allowed == 5);
    CHECK(there_allowed <= 295);
    CHECK(there_allowed >= 295 - 30);
    // What was held back is still there for the first, and never more than the limit in all.
    CHECK(here_allowed + there_allowed + allowed_with(here, *first, limit, 400) == 300);
  }
}

TEST_CASE("leased permits of a fixed window end with it", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  const Limit limit = per_client(100, 300ms).leased(50);
  CHECK(allowed_with(worker, *limiter, limit, 3) == 3);
  const std::string key = redis.command({"KEYS", "*:l:*"});
  REQUIRE(worker.wait([&] { return redis.command({"EXISTS", key}) == "0"; }));
  // The next window counts from its own beginning, however many permits of the last were left.
  CHECK(check_with(worker, *limiter, {limit}).allowed);
  CHECK(redis.command({"EXISTS", key}) == "1");
}

TEST_CASE("a request that another limit refuses gives its leased permit back", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  const Limit leased = per_client(100, 24h).leased(20).named("leased");
  const Limit narrow = per_client(10, 24h).named("narrow");
  for (int i = 0; i < 40; ++i) CHECK(check_with(worker, *limiter, {leased, narrow}).allowed == (i < 10));
  CHECK(allowed_with(worker, *limiter, leased, 200) == 90);
}

TEST_CASE("without Redis, leased permits still serve", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  const Limit limit = per_client(100, 24h).leased(20).deny_when_unavailable();
  CHECK(allowed_with(worker, *limiter, limit, 2) == 2);  // the second has leased 20
  redis.kill();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  CHECK(allowed_with(worker, *limiter, limit, 30) == 19);
}

// Each client that disconnects while permits are on their way would otherwise cost all others of the key a whole lease.
TEST_CASE("permits on their way are not lost when their request ends", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  const std::vector<Limit> limits{per_client(100, 24h).leased(20)};
  const std::vector<std::string> names{"GET /hot#0"};
  (void)check_with(worker, *limiter, limits);
  {
    Visit visit(worker);
    Task<LimitDecision> task = limiter->check(visit.exchange.request, limits, names);
    task.start();
    task.reset();
  }
  const std::string key = redis.command({"KEYS", "*:l:*"});
  REQUIRE(worker.wait([&] { return redis.command({"GET", key}) == "21"; }));
  worker.turn(1ms);
  const auto before = commands(worker);
  CHECK(allowed_with(worker, *limiter, limits[0], 19) == 19);
  CHECK(commands(worker) == before);
}

TEST_CASE("an operator who deletes the key of a refused client is believed within about a second", "[limit][leases]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Machine machine;
  const auto limiter = machine.limiter(worker);
  const Limit limit = per_client(40, 24h).leased(10);
  CHECK(allowed_with(worker, *limiter, limit, 60) == 40);
  redis.command({"DEL", redis.command({"KEYS", "*:l:*"})});
  CHECK(worker.wait([&] { return check_with(worker, *limiter, {limit}).allowed; }));
}
