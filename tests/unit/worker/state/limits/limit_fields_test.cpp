#include "worker/state/limits/limit_fields.h"

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

LimitOutcome outcome(std::string name, std::uint32_t count, std::chrono::seconds window, std::uint32_t remaining) {
  LimitOutcome made;
  made.name = std::move(name);
  made.count = count;
  made.window = window;
  made.remaining = remaining;
  made.reset = 3s;
  return made;
}

LimitDecision three_limits() {
  LimitDecision decision;
  decision.outcomes = {outcome("burst", 10, 1s, 9), outcome("daily", 1000, 86'400s, 2), outcome("running", 4, 60s, 3)};
  decision.outcomes[2].concurrent = true;
  decision.outcomes[2].reset.reset();
  return decision;
}

}  // namespace

TEST_CASE("the fields of the draft describe every limit", "[limit]") {
  Response response(200);
  add_limit_fields(response, three_limits(), LimitFieldStyle::draft);
  CHECK(response.header("RateLimit-Policy") ==
        R"("burst";q=10;w=1, "daily";q=1000;w=86400, "running";q=4;qu="concurrent-requests")");
  CHECK(response.header("RateLimit") == R"("burst";r=9;t=3, "daily";r=2;t=3, "running";r=3)");
  CHECK_FALSE(response.header("RateLimit-Limit"));
}

TEST_CASE("the older fields describe the limit that leaves the fewest requests", "[limit]") {
  Response response(200);
  LimitDecision decision = three_limits();
  add_limit_fields(response, decision, LimitFieldStyle::legacy);
  CHECK_FALSE(response.header("RateLimit"));
  CHECK(response.header("RateLimit-Limit") == "1000");
  CHECK(response.header("RateLimit-Remaining") == "2");
  CHECK(response.header("RateLimit-Reset") == "3");
  decision.outcomes[0].allowed = false;
  decision.outcomes[0].remaining = 0;
  add_limit_fields(response, decision, LimitFieldStyle::both);
  CHECK(response.header("RateLimit-Limit") == "10");
  CHECK(response.header("RateLimit"));
}

TEST_CASE("a decision without Redis has no fields", "[limit]") {
  Response response(200);
  add_limit_fields(response, {}, LimitFieldStyle::both);
  CHECK_FALSE(response.header("RateLimit"));
  CHECK_FALSE(response.header("RateLimit-Limit"));
}

TEST_CASE("a refusal says why and when to retry", "[limit]") {
  LimitDecision decision;
  decision.allowed = false;
  decision.status = 429;
  decision.retry_after = 7s;
  const ErrorAnswer refused = limit_refusal(decision);
  CHECK(refused.status == 429);
  CHECK(refused.detail == "too many requests; try again in 7 seconds");
  CHECK(refused.fields == HttpError::Fields{{"Retry-After", "7"}});
  decision.status = 503;
  CHECK(limit_refusal(decision).status == 503);
}

TEST_CASE("the name of a limit fits into a field", "[limit]") {
  CHECK(per_client(1, 1s).named("per-day_2.0").name == "per-day_2.0");
  for (const std::string& bad : {std::string(), std::string("a\"b"), std::string("a b"), std::string(65, 'x')}) {
    Limit limit = per_client(1, 1s);
    CHECK_THROWS_AS(limit.named(bad), std::invalid_argument);
  }
}
