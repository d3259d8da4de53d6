#include "worker/state/idempotency/claim.h"

#include <optional>

#include "unit/worker/state/state_worker.h"
#include "worker/state/idempotency/holder.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::Claim;
using worker::KeptResponse;
using Answer = Claim::Answer;

namespace {

constexpr const char* kKey = "app:i:POST/orders:-:k";

class Key {
 public:
  Key() { worker.ready(); }

  // A claim of this process.
  std::unique_ptr<Claim> claim() {
    return std::make_unique<Claim>(*worker.state->redis,
                                   Claim::Terms{.key = kKey,
                                                .name = worker::name_this_process() + "/" + std::to_string(++number_),
                                                .keep = 1h,
                                                .patience = 60s});
  }
  Answer take(Claim& claim, const std::string& fingerprint = "print") { return worker.run(claim.take(fingerprint)); }
  bool finish(Claim& claim, std::string body) {
    return worker.run(
        claim.finish({.status = 201, .content_type = "text/plain", .fields = {}, .body = std::move(body)}));
  }
  // A claim that `holder` took, whose lease ends in `left`.
  void plant(const std::string& holder, std::chrono::milliseconds left) {
    const Reply time = worker.command("TIME");
    const std::int64_t now = time.array()[0].integer() * 1000 + time.array()[1].integer() / 1000;
    worker.command("DEL", kKey);
    worker.command("HSET", kKey, "print", "print", "claim", holder + "/1", "until", now + left.count());
  }
  bool exists() { return redis.command({"EXISTS", kKey}) == "1"; }

  RedisProcess redis;
  StateWorker worker{redis.url()};

 private:
  int number_ = 0;
};

}  // namespace

TEST_CASE("of two claims on a key one is taken, and the other gets its response", "[idempotency]") {
  Key key;
  const auto first = key.claim();
  const auto second = key.claim();
  CHECK(key.take(*first) == Answer::taken);
  CHECK(key.take(*second) == Answer::running);
  const auto other = key.claim();
  CHECK(key.take(*other, "another print") == Answer::other);
  CHECK(key.finish(*first, "seven"));
  const auto third = key.claim();
  CHECK(key.take(*third) == Answer::finished);
  CHECK(third->kept().status == 201);
  CHECK(third->kept().content_type == "text/plain");
  CHECK(third->kept().body == "seven");
  CHECK(key.take(*other, "another print") == Answer::other);
}

TEST_CASE("a claim that is given up or destroyed frees its key, a finished one does not", "[idempotency]") {
  Key key;
  auto claim = key.claim();
  CHECK(key.take(*claim) == Answer::taken);
  key.worker.run(claim->give_up());
  CHECK_FALSE(key.exists());

  claim = key.claim();
  CHECK(key.take(*claim) == Answer::taken);
  claim.reset();
  CHECK(key.worker.wait([&] { return !key.exists(); }));

  claim = key.claim();
  CHECK(key.take(*claim) == Answer::taken);
  CHECK(key.finish(*claim, "kept"));
  claim.reset();
  key.worker.command("PING");
  CHECK(key.exists());
}

TEST_CASE("a claim whose request ends while it is taken frees its key", "[idempotency]") {
  Key key;
  auto warm = key.claim();
  CHECK(key.take(*warm) == Answer::taken);  // Redis knows the script now
  key.worker.run(warm->give_up());
  auto claim = key.claim();
  std::optional<Task<Answer>> taking = claim->take("print");
  taking->start();
  taking.reset();
  claim.reset();
  key.worker.command("PING");
  CHECK_FALSE(key.exists());
}

TEST_CASE("a claim that was refused leaves the key to its holder", "[idempotency]") {
  Key key;
  const auto holder = key.claim();
  CHECK(key.take(*holder) == Answer::taken);
  auto refused = key.claim();
  CHECK(key.take(*refused) == Answer::running);
  refused.reset();
  key.worker.command("PING");
  CHECK(key.finish(*holder, "mine"));
}

TEST_CASE("the claim of a process that has ended is free at once", "[idempotency]") {
  Key key;
  const std::string self = worker::name_this_process();
  key.plant(self.substr(0, self.rfind(':')) + ":1", 10s);
  const auto claim = key.claim();
  CHECK(key.take(*claim, "another print") == Answer::other);
  CHECK(key.take(*claim) == Answer::taken);
}

TEST_CASE("the claim of another machine is free when its lease has ended", "[idempotency]") {
  Key key;
  key.plant("elsewhere:1:1", 10s);
  const auto claim = key.claim();
  CHECK(key.take(*claim) == Answer::running);
  key.plant("elsewhere:1:1", -1ms);
  CHECK(key.take(*claim) == Answer::taken);
}

TEST_CASE("a process of this machine that lives and does not renew keeps its claim for longer", "[idempotency]") {
  Key key;
  key.plant(worker::name_this_process(), -50s);
  const auto claim = key.claim();
  CHECK(key.take(*claim) == Answer::running);
  key.plant(worker::name_this_process(), -61s);
  CHECK(key.take(*claim) == Answer::taken);
}

TEST_CASE("a claim that was lost cannot overwrite the response of its successor", "[idempotency]") {
  Key key;
  const auto lost = key.claim();
  CHECK(key.take(*lost) == Answer::taken);
  key.plant("elsewhere:1:1", -1ms);
  const auto successor = key.claim();
  CHECK(key.take(*successor) == Answer::taken);
  CHECK_FALSE(key.finish(*lost, "late"));
  CHECK(key.finish(*successor, "right"));
  const auto late = key.claim();
  CHECK_FALSE(key.finish(*late, "late"));
  CHECK(key.redis.command({"HGET", kKey, "body"}) == "right");
}

TEST_CASE("a lease is renewed while the request runs, also by a Redis that has lost its scripts", "[idempotency]") {
  Key key;
  const auto claim = key.claim();
  CHECK(key.take(*claim) == Answer::taken);
  key.redis.command({"SCRIPT", "FLUSH"});
  key.redis.command({"HSET", kKey, "until", "1"});
  key.redis.command({"PEXPIRE", kKey, "20000"});
  CHECK(key.worker.wait([&] { return key.redis.command({"HGET", kKey, "until"}) != "1"; }));
  CHECK(std::stoll(key.redis.command({"PTTL", kKey})) > 3'600'000);
  CHECK(key.finish(*claim, "done"));
  const long long left = std::stoll(key.redis.command({"PTTL", kKey}));
  CHECK(left > 3'590'000);
  CHECK(left <= 3'600'000);
}

TEST_CASE("a key that Redis cannot use fails the request", "[idempotency]") {
  Key key;
  key.worker.command("SET", kKey, "text");
  auto claim = key.claim();
  CHECK_THROWS_AS(key.take(*claim), RedisError);
  key.redis.kill();
  CHECK_THROWS_AS(key.take(*claim), RedisUnavailable);
}
