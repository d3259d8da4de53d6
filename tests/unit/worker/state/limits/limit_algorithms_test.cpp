#include <cstdlib>

#include "unit/worker/state/limits/checks.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::int64_t server_ms(const RedisProcess& redis) {
  const std::string time = redis.command({"TIME"});
  return std::stol(time) * 1000 + std::stol(time.substr(time.find('\n') + 1)) / 1000;
}

}  // namespace

TEST_CASE("every algorithm is exact under 50 parallel checks", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  Limit limit = per_client(10, 60min);
  SECTION("fixed window") {}
  SECTION("sliding window") { limit.sliding(); }
  SECTION("token bucket") { limit.bucket(); }
  SECTION("GCRA") { limit.gcra(); }
  SECTION("concurrency") { limit.concurrent(); }
  CHECK(allowed_of(worker, limit, 50) == 10);
  CHECK((*worker.row)[Count::limits_refused].load() == 40);
  CHECK(allowed_of(worker, limit, 50) == (limit.algorithm == LimitAlgorithm::concurrency ? 10 : 0));
}

TEST_CASE("a fixed window starts again after it has ended", "[limit]") {
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
  const Limit limit = per_client(10, 60min).bucket();
  const std::string key = "app:l:GET%20/limited:bucket-3600000:{192.0.2.1}";
  const auto empty_since = [&](std::int64_t ago_ms) {
    redis.command({"HSET", key, "tokens", "0", "at", std::to_string(server_ms(redis) - ago_ms)});
  };
  empty_since(std::chrono::milliseconds(15min).count());  // 2.5 tokens
  CHECK(allowed_of(worker, limit, 20) == 2);
  const LimitDecision refused = check(worker, limit);
  CHECK(refused.retry_after > 170s);
  CHECK(refused.retry_after <= 180s);
  empty_since(std::chrono::milliseconds(600min).count());  // as many as it holds, not more
  CHECK(allowed_of(worker, limit, 20) == 10);
  empty_since(-std::chrono::milliseconds(15min).count());  // the clock was set back
  CHECK(allowed_of(worker, limit, 20) == 0);
}

TEST_CASE("in a sliding window the previous window counts in proportion to its overlap", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  constexpr std::int64_t kWindow = 3'600'000;
  const Limit limit = per_client(10, 60min).sliding();
  const std::int64_t now = server_ms(redis);
  const std::int64_t elapsed = now % kWindow;
  const auto saved = [&](std::int64_t windows_ago, int current, int previous) {
    redis.command({"HSET", "app:l:GET%20/limited:sliding-3600000:{192.0.2.1}", "window",
                   std::to_string(now / kWindow - windows_ago), "current", std::to_string(current), "previous",
                   std::to_string(previous)});
  };
  const auto in_view = static_cast<int>((10 * (kWindow - elapsed) + kWindow - 1) / kWindow);  // rounded up
  saved(0, 0, 10);
  CHECK(allowed_of(worker, limit, 20) == 10 - in_view);
  saved(1, 10, 3);  // what was current is the one before now
  CHECK(allowed_of(worker, limit, 20) == 10 - in_view);
  CHECK(check(worker, limit).retry_after <= 361s);
  saved(2, 10, 10);  // out of view
  CHECK(allowed_of(worker, limit, 20) == 10);
  // The next window must begin, and a tenth of this one must no longer count.
  CHECK(std::abs(check(worker, limit).retry_after.count() - ((kWindow - elapsed) / 1000 + 360)) <= 60);
  saved(-1, 10, 0);  // the clock was set back
  CHECK(allowed_of(worker, limit, 20) == 0);
  saved(-1, 0, 0);  // the later window goes on, so that requests of both are counted together
  CHECK(allowed_of(worker, limit, 1) == 1);
  CHECK(redis.command({"HGET", "app:l:GET%20/limited:sliding-3600000:{192.0.2.1}", "window"}) ==
        std::to_string(now / kWindow + 1));
}

TEST_CASE("GCRA allows a burst, then one request per interval", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(10, 60min).gcra();
  const std::string key = "app:l:GET%20/limited:gcra-3600000:{192.0.2.1}";
  const auto unused_in = [&](std::int64_t ms) {
    redis.command({"SET", key, std::to_string(server_ms(redis) + ms), "PX", "100000"});
  };
  CHECK(check(worker, limit).outcomes.at(0).remaining == 9);
  unused_in(std::chrono::milliseconds(45min).count());  // room for 2.5 requests
  CHECK(allowed_of(worker, limit, 20) == 2);
  const LimitDecision refused = check(worker, limit);
  CHECK(refused.retry_after > 170s);
  CHECK(refused.retry_after <= 180s);
  CHECK(std::stol(redis.command({"PTTL", key})) > 3'000'000);
  unused_in(-1000);
  CHECK(allowed_of(worker, limit, 20) == 10);
  unused_in(std::chrono::milliseconds(110min).count());  // the clock was set back: a window ahead at most
  CHECK(allowed_of(worker, limit, 1) == 0);
  CHECK(check(worker, limit).retry_after <= 360s);
}

TEST_CASE("an allowed request learns when one more is allowed", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (Limit limit : {per_client(10, 60min).bucket(), per_client(10, 60min).gcra()}) {
    CAPTURE(worker::algorithm_name(limit.algorithm));
    for (int remaining = 9; remaining >= 0; --remaining) {
      const LimitDecision decision = check(worker, limit);
      CHECK(decision.outcomes.at(0).remaining == static_cast<std::uint32_t>(remaining));
      CHECK(decision.outcomes.at(0).reset <= 360s);
      CHECK(decision.outcomes.at(0).reset > 300s);
    }
  }
}

// Every request was refused until the clock was where it had been.
TEST_CASE("a limit does not refuse for hours after the clock of Redis was set back by hours", "[limit]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::int64_t later = server_ms(redis) + std::chrono::milliseconds(3h).count();
  const auto key = [](const std::string& algorithm) {
    return "app:l:GET%20/limited:" + algorithm + "-60000:{192.0.2.1}";
  };
  const Limit limit = per_client(10, 1min);
  redis.command({"SET", key("fixed"), "10", "PX", std::to_string(std::chrono::milliseconds(3h).count())});
  CHECK(allowed_of(worker, limit, 20) == 10);
  redis.command({"HSET", key("sliding"), "window", std::to_string(later / 60'000), "current", "10", "previous", "10"});
  CHECK(allowed_of(worker, Limit(limit).sliding(), 20) >= 9);  // 9 if a window has just ended
  redis.command({"HSET", key("bucket"), "tokens", "0", "at", std::to_string(later)});
  CHECK(allowed_of(worker, Limit(limit).bucket(), 20) == 10);
  redis.command({"SET", key("gcra"), std::to_string(later)});
  CHECK(allowed_of(worker, Limit(limit).gcra(), 20) == 10);
}
