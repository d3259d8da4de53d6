// Shadow mode, limits of dead workers, limits by other keys, and the slots of a Redis Cluster.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

#include "unit/worker/state/limits/checks.h"
#include "unit/worker/state/sessions/stored_session.h"
#include "worker/state/idempotency/holder.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;
using worker::RateLimiter;

namespace {

const std::vector<std::string> kNames{"GET /a", "GET /a#2", "GET /a#3"};

// A request with one header field.
struct Asking {
  Asking(StateWorker& worker, std::string_view name, std::string value, std::string address = "192.0.2.1")
      : visit(worker, "", std::move(address)), text(std::move(value)) {
    visit.exchange.head.fields[0] = worker::Header{name, text};
    visit.exchange.head.field_count = 1;
  }
  bool allowed(StateWorker& worker, const Limit& limit) {
    return worker.run(worker.state->limiter.check(visit.exchange.request, std::span(&limit, 1), kNames)).allowed;
  }
  Visit visit;
  std::string text;
};

// The name of a process that has ended.
std::string dead_holder() {
  int names[2];
  REQUIRE(::pipe(names) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const std::string name = worker::name_this_process();
    ::_exit(::write(names[1], name.data(), name.size()) > 0 ? 0 : 1);
  }
  char name[256];
  const ssize_t size = ::read(names[0], name, sizeof name);
  ::close(names[0]);
  ::close(names[1]);
  ::waitpid(pid, nullptr, 0);
  REQUIRE(size > 0);
  return {name, static_cast<std::size_t>(size)};
}

}  // namespace

TEST_CASE("a limit in shadow mode refuses nothing, and counts and marks what it would refuse", "[limit][shadow]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::vector<Limit> limits{per_client(100, 1h), per_client(2, 1h).named("tried").shadow()};
  for (int i = 0; i < 5; ++i) {
    Visit visit(worker);
    const LimitDecision decision = worker.run(worker.state->limiter.check(visit.exchange.request, limits, kNames));
    CHECK(decision.allowed);
    REQUIRE(decision.outcomes.size() == 1);  // clients are not told of it
    CHECK(decision.outcomes[0].remaining == static_cast<std::uint32_t>(99 - i));
    const std::vector<std::string>& refusals = shadow_refusals(visit.exchange.request);
    CHECK(refusals == (i < 2 ? std::vector<std::string>{} : std::vector<std::string>{"tried"}));
  }
  CHECK((*worker.row)[Count::limits_shadowed].load() == 3);
  CHECK((*worker.row)[Count::limits_refused].load() == 0);
}

TEST_CASE("a limit in shadow mode counts as it would if it refused", "[limit][shadow]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  for (const bool leased : {false, true}) {
    CAPTURE(leased);
    Limit tried = per_client(40, 24h).shadow();
    if (leased) tried.leased(10);
    const std::string route = leased ? "GET /leased" : "GET /plain";
    const auto before = (*worker.row)[Count::limits_shadowed].load();
    for (int i = 0; i < 60; ++i) CHECK(check(worker, tried, "192.0.2.1", route).allowed);
    CHECK((*worker.row)[Count::limits_shadowed].load() - before == 20);
    // What another limit refuses is not counted here either.
    const std::vector<Limit> both{per_client(100, 24h).shadow(), per_client(1, 24h)};
    for (int i = 0; i < 5; ++i) (void)check(worker, both, "192.0.2.1", route + "/both");
    Limit enforced = both[0];
    enforced.never_refuses = false;
    CHECK(check(worker, enforced, "192.0.2.1", route + "/both").outcomes.at(0).remaining == 98);
  }
}

// The places of a worker that was killed counted until the window was over.
TEST_CASE("the places of a process that has died are free for the next request", "[limit][concurrency]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(2, 1h).concurrent();
  Visit running(worker);
  CHECK(worker.run(worker.state->limiter.check(running.exchange.request, std::span(&limit, 1), kNames)).allowed);
  const std::string key = redis.command({"KEYS", "*concurrent-*"});
  const std::string until = redis.command({"ZRANGE", key, "0", "0", "WITHSCORES"});
  redis.command({"ZADD", key, until.substr(until.rfind('\n') + 1), dead_holder() + ".abc/1"});
  REQUIRE(redis.command({"ZCARD", key}) == "2");
  CHECK(check(worker, limit, "192.0.2.1", "GET /a").allowed);
  CHECK(worker.wait([&] { return redis.command({"ZCARD", key}) == "1"; }));  // the dead one and this one have gone
}

TEST_CASE("the place of a request that has run for longer than the window is free", "[limit][concurrency]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(2, 1h).concurrent();
  Visit running(worker);
  CHECK(worker.run(worker.state->limiter.check(running.exchange.request, std::span(&limit, 1), kNames)).allowed);
  redis.command({"ZADD", redis.command({"KEYS", "*concurrent-*"}), "1", "elsewhere/1"});
  CHECK(check(worker, limit, "192.0.2.1", "GET /a").allowed);
}

TEST_CASE("places of living processes, other machines and strange names stay", "[limit][concurrency]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(3, 1h).concurrent();
  Visit running(worker);
  CHECK(worker.run(worker.state->limiter.check(running.exchange.request, std::span(&limit, 1), kNames)).allowed);
  const std::string key = redis.command({"KEYS", "*concurrent-*"});
  const std::string until = redis.command({"ZRANGE", key, "0", "0", "WITHSCORES"});
  const std::string score = until.substr(until.rfind('\n') + 1);
  redis.command({"ZADD", key, score, "another-boot.4026531836:1:1.abc/1", score, "/// \n"});
  CHECK_FALSE(check(worker, limit, "192.0.2.1", "GET /a").allowed);
  CHECK(redis.command({"ZCARD", key}) == "3");
}

TEST_CASE("refusals by a concurrency limit look for dead workers at most ten times a second", "[limit][concurrency]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_client(1, 1h).concurrent();
  Visit running(worker);
  CHECK(worker.run(worker.state->limiter.check(running.exchange.request, std::span(&limit, 1), kNames)).allowed);
  (void)check(worker, limit, "192.0.2.1", "GET /a");  // Redis knows both scripts now
  const auto before = (*worker.row)[Count::redis_commands].load();
  const auto began = monotonic_ms();
  for (int i = 0; i < 50; ++i) CHECK_FALSE(check(worker, limit, "192.0.2.1", "GET /a").allowed);
  const auto looks = (*worker.row)[Count::redis_commands].load() - before - 50;
  CHECK(looks <= (monotonic_ms() - began) / 100 + 1);
}

TEST_CASE("per_header counts each value apart, and a request without one by its client", "[limit][keys]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_header("X-Api-Key", 1, 1h);
  CHECK(Asking(worker, "x-api-key", "one").allowed(worker, limit));
  CHECK_FALSE(Asking(worker, "X-Api-Key", "one", "192.0.2.9").allowed(worker, limit));
  CHECK(Asking(worker, "X-Api-Key", "two").allowed(worker, limit));
  CHECK(Asking(worker, "X-Other", "one").allowed(worker, limit));
  CHECK_FALSE(Asking(worker, "X-Api-Key", "").allowed(worker, limit));
  CHECK(Asking(worker, "X-Other", "one", "192.0.2.2").allowed(worker, limit));
  // Nobody can use up the requests of a client by sending its address as a key.
  CHECK(Asking(worker, "X-Api-Key", "192.0.2.3").allowed(worker, limit));
  CHECK(Asking(worker, "X-Other", "", "192.0.2.3").allowed(worker, limit));
  CHECK(redis.command({"KEYS", "*one*"}).empty());  // an API key is a secret
  for (const char* bad : {"", "X Api", "X\r\nY", "a:b"}) CHECK_THROWS_AS(per_header(bad, 1, 1h), std::invalid_argument);
}

TEST_CASE("per_token counts each bearer token apart and keeps it out of Redis", "[limit][keys]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_token(1, 1h);
  CHECK(Asking(worker, "Authorization", "Bearer secret").allowed(worker, limit));
  CHECK_FALSE(Asking(worker, "Authorization", "bearer secret", "192.0.2.2").allowed(worker, limit));
  // require_token() accepts these as the same token, so each more blank was another client.
  CHECK_FALSE(Asking(worker, "Authorization", "Bearer  secret", "192.0.2.2").allowed(worker, limit));
  CHECK_FALSE(Asking(worker, "Authorization", "BEARER \t secret", "192.0.2.2").allowed(worker, limit));
  CHECK(Asking(worker, "Authorization", "Bearer other").allowed(worker, limit));
  CHECK(Asking(worker, "Authorization", "Basic secret").allowed(worker, limit));  // by its client
  CHECK_FALSE(Asking(worker, "Authorization", "Bearer ").allowed(worker, limit));
  CHECK_FALSE(Asking(worker, "Authorization", "B").allowed(worker, limit));
  CHECK(redis.command({"KEYS", "*secret*"}).empty());
}

TEST_CASE("per_session counts sessions that exist; an invented cookie counts for its client", "[limit][keys]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_session(1, 1h);
  const auto allowed = [&](const std::string& cookie, const std::string& address) {
    Visit visit(worker, cookie, address);
    return worker.run(worker.state->limiter.check(visit.exchange.request, std::span(&limit, 1), kNames)).allowed;
  };
  const std::string one = new_session(worker);
  const std::string two = new_session(worker);
  CHECK(allowed(one, "192.0.2.1"));
  CHECK_FALSE(allowed(one, "192.0.2.2"));
  CHECK(allowed(two, "192.0.2.1"));
  CHECK(allowed(worker::new_session_id(), "192.0.2.1"));
  CHECK_FALSE(allowed(worker::new_session_id(), "192.0.2.1"));
  CHECK_FALSE(allowed("", "192.0.2.1"));
  CHECK(redis.command({"KEYS", "*:l:*" + one + "*"}).empty());
}

TEST_CASE("per_user counts all sessions of a user together", "[limit][keys]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Limit limit = per_user(2, 1h);
  const auto login = [&](const std::string& user) {
    Visit visit(worker);
    visit.session().login(user);
    return visit.commit_id();
  };
  const auto allowed = [&](const std::string& cookie) {
    Visit visit(worker, cookie);
    return worker.run(worker.state->limiter.check(visit.exchange.request, std::span(&limit, 1), kNames)).allowed;
  };
  const std::string laptop = login("ann");
  const std::string phone = login("ann");
  CHECK(allowed(laptop));
  CHECK(allowed(phone));
  CHECK_FALSE(allowed(laptop));
  CHECK(allowed(login("bob")));
}

TEST_CASE("while Redis is down, a limit by session decides as the limit says", "[limit][keys]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string id = new_session(worker);
  redis.kill();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  Limit limit = per_session(1, 1h);
  for (const bool deny : {false, true}) {
    if (deny) limit.deny_when_unavailable();
    Visit visit(worker, id);
    const auto decision = worker.run(worker.state->limiter.check(visit.exchange.request, std::span(&limit, 1), kNames));
    CHECK(decision.status == (deny ? 503 : 0));
  }
}

namespace {

// Limits of one route as on a Redis Cluster, where keys of one script must be in one slot.
struct Cluster {
  RedisProcess redis;
  StateWorker worker{redis.url()};
  std::unique_ptr<RateLimiter> limiter;
  Cluster() {
    worker.ready();
    limiter = std::make_unique<RateLimiter>(worker.state->redis.get(), config_for("redis+cluster://a:1"), *worker.row);
  }
  LimitDecision check(const std::vector<Limit>& limits, const std::string& user) {
    Asking asking(worker, "X-User", user);
    return worker.run(limiter->check(asking.visit.exchange.request, limits, kNames));
  }
};

}  // namespace

TEST_CASE("on a cluster, limits by the same key are one script and others are sent at once", "[limit][cluster]") {
  Cluster cluster;
  const std::vector<Limit> same{per_client(10, 1h), per_client(5, 1h).gcra(), per_client(5, 1h).concurrent()};
  const std::vector<Limit> mixed{per_client(10, 1h), per_header("X-User", 5, 1h), per_client(20, 1h).bucket()};
  (void)cluster.check(same, "ann");
  const auto before = (*cluster.worker.row)[Count::redis_commands].load();
  CHECK(cluster.check(same, "ann").allowed);
  CHECK((*cluster.worker.row)[Count::redis_commands].load() - before == 2);  // the script, and ZREM
  const LimitDecision decision = cluster.check(mixed, "ann");
  CHECK(decision.allowed);
  CHECK(decision.outcomes.at(1).remaining == 4);
  CHECK((*cluster.worker.row)[Count::redis_commands].load() - before == 4);
}

TEST_CASE("on a cluster, what the other limits counted for a refused request is taken back", "[limit][cluster]") {
  Cluster cluster;
  for (const LimitAlgorithm algorithm : {LimitAlgorithm::fixed_window, LimitAlgorithm::sliding_window,
                                         LimitAlgorithm::token_bucket, LimitAlgorithm::gcra}) {
    CAPTURE(worker::algorithm_name(algorithm));
    Limit wide = per_client(20, 24h);
    wide.algorithm = algorithm;
    for (const bool leased : {false, true}) {
      CAPTURE(leased);
      if (leased) wide = wide.leased(4);
      const std::vector<Limit> limits{wide, per_header("X-User", 2, 24h), per_client(3, 24h).concurrent()};
      cluster.redis.command({"FLUSHALL"});
      Cluster fresh;
      for (int i = 0; i < 8; ++i) CHECK(fresh.check(limits, "ann").allowed == (i < 2));
      const LimitDecision after = fresh.check({wide}, "ann");
      CHECK(after.outcomes.at(0).remaining == 17);
      for (int i = 0; i < 2; ++i) CHECK_FALSE(fresh.check(limits, "ann").allowed);
      (void)fresh.worker.command("PING");  // what was taken back before has been
      std::istringstream keys(fresh.redis.command({"KEYS", "*:{192.0.2.1}"}));
      for (std::string key; std::getline(keys, key);) CHECK(std::stoll(fresh.redis.command({"PTTL", key})) > 0);
      CHECK(fresh.worker.wait([&] { return fresh.redis.command({"KEYS", "*concurrent-*"}).empty(); }));
    }
  }
}
