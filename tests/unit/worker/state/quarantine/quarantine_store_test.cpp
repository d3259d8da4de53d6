#include "worker/state/quarantine/quarantine_store.h"

#include "support/catch.h"
#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;
using pronghorn::worker::QuarantineStore;

namespace {

const QuarantinedRequest kCrash{"0123456789abcdef", "POST", "/crash", "/crash"};

struct Store {
  RedisProcess redis;
  StateWorker worker{redis.url()};
  QuarantineStore store{*worker.ready().state->redis, "app"};
  std::vector<QuarantineStore::Stored> list() { return worker.run(store.list()); }
};

}  // namespace

TEST_CASE("Redis quarantines a request with its second kill", "[quarantine]") {
  Store at;
  CHECK(at.list().empty());
  CHECK(at.worker.run(at.store.count_kill(kCrash, 600s)) == 1);
  CHECK(at.list().empty());
  CHECK(at.worker.command("PTTL", "{app:q}:" + kCrash.id).integer() > 59'000);
  CHECK(at.worker.run(at.store.count_kill(kCrash, 600s)) == 2);
  const auto listed = at.list();
  REQUIRE(listed.size() == 1);
  CHECK(to_text(listed[0].notice.request) == to_text(kCrash));
  CHECK(listed[0].notice.kills == 2);
  CHECK(listed[0].left > 590s);
  CHECK(listed[0].left <= 600s);
  CHECK(at.worker.command("PTTL", "{app:q}").integer() > 590'000);
  CHECK(at.worker.run(at.store.count_kill(kCrash, 600s)) == 3);  // it was running elsewhere
  CHECK(at.list().at(0).notice.kills == 3);
}

TEST_CASE("an expired entry in Redis is not listed, and kills are counted from zero", "[quarantine]") {
  Store at;
  at.worker.run(at.store.count_kill(kCrash, 30ms));
  at.worker.run(at.store.count_kill(kCrash, 30ms));
  CHECK(at.worker.wait([&] { return at.list().empty(); }));
  CHECK(at.worker.run(at.store.count_kill(kCrash, 600s)) == 1);
}

TEST_CASE("released entries are deleted from Redis", "[quarantine]") {
  Store at;
  for (const char* id : {"0000000000000001", "0000000000000002", "0000000000000003"}) {
    QuarantineStore::Stored stored;
    stored.notice = {{id, "GET", "/a", "/a"}, 1'700'000'000, 2};
    stored.left = 60s;
    at.worker.run(at.store.put(stored));
    stored.notice.kills = 9;
    at.worker.run(at.store.put(stored));  // the first one stays
  }
  REQUIRE(at.list().size() == 3);
  CHECK(at.list()[0].notice.kills == 2);
  CHECK(at.list()[0].notice.since_at == 1'700'000'000);
  at.worker.run(at.store.release("0000000000000002"));
  CHECK(at.list().size() == 2);
  at.worker.run(at.store.release("all"));
  CHECK(at.list().empty());
}

TEST_CASE("malformed entries in the quarantine's key are ignored", "[quarantine]") {
  Store at;
  at.worker.run(at.store.count_kill(kCrash, 600s));
  at.worker.run(at.store.count_kill(kCrash, 600s));
  at.worker.command("HSET", "{app:q}", "x", "y", "0123456789abcde0", "99999999999999 1 2 GET /a /a\nforged",
                    "0123456789abcde1", "nan 1 2 GET /a /a", "0123456789abcde2", "");
  CHECK(at.list().size() == 1);
  // Adding an entry deletes them.
  at.worker.run(at.store.count_kill({"00000000000000ff", "GET", "/a", "/a"}, 600s));
  at.worker.run(at.store.count_kill({"00000000000000ff", "GET", "/a", "/a"}, 600s));
  CHECK(at.list().size() == 2);
  at.worker.command("SET", "{app:q}", "a text");
  CHECK_THROWS_AS(at.list(), RedisError);
}

TEST_CASE("Redis holds no more entries than the table", "[quarantine]") {
  Store at;
  for (std::size_t i = 0; i < kMaxQuarantined + 5; ++i) {
    std::string id = std::to_string(i);
    id.insert(0, QuarantinedRequest::kIdSize - id.size(), '0');
    at.worker.run(at.store.put({{{id, "GET", "/a", "/a"}, 1, 2}, 60s}));
  }
  CHECK(at.worker.command("HLEN", "{app:q}").integer() == static_cast<std::int64_t>(kMaxQuarantined));
}
