#include "worker/state/idempotency/kept_response.h"

#include "pronghorn/error.h"
#include "pronghorn/redis.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

TEST_CASE("a response is replayed with its status, type, fields and body", "[idempotency]") {
  Response response = json_text(R"({"order":7})", 201);
  response.set("Location", "/orders/7").append("Link", "</a>").append("Link", "</b>");
  const Response replayed = replay(keep(response));
  CHECK(replayed.status() == 201);
  CHECK(replayed.body() == R"({"order":7})");
  CHECK(replayed.content_type() == response.content_type());
  CHECK(replayed.header("Location") == "/orders/7");
  CHECK(keep(replayed).fields.find("Link: </a>\r\nLink: </b>\r\n") != std::string::npos);
  CHECK(replayed.header("Idempotency-Replayed") == "true");
}

TEST_CASE("fields that belong to one exchange are not kept", "[idempotency]") {
  Response response = text("made", 201);
  response.cookie("token", "secret").set("X-Request-Id", "1").set("Date", "now").set("X-Kept", "yes");
  CHECK(keep(response).fields == "X-Kept: yes\r\n");
}

TEST_CASE("streams, files and large bodies are not kept, and their repetition is a conflict", "[idempotency]") {
  CHECK(keep(bytes(std::string(kMaxKeptBody, 'x'))).status == 200);
  std::vector<Response> responses;
  responses.push_back(bytes(std::string(kMaxKeptBody + 1, 'x')));
  responses.push_back(stream("text/plain", [](Writer&) -> Task<void> { co_return; }));
  responses.push_back(file("/proc/self/exe"));
  for (const Response& response : responses) {
    const KeptResponse kept = keep(response);
    CHECK(kept.status == 0);
    CHECK(kept.body.empty());
    try {
      (void)replay(kept);
      FAIL("replayed");
    } catch (const HttpError& error) {
      CHECK(error.status() == 409);
    }
  }
}

TEST_CASE("a response is final unless trying again may help", "[idempotency]") {
  for (const int status : {200, 201, 204, 303, 400, 404, 409, 422}) CHECK(is_final(Response(status)));
  for (const int status : {0, 100, 408, 425, 429, 500, 503, 599, 600}) CHECK_FALSE(is_final(Response(status)));
}

TEST_CASE("what Redis returns is checked", "[idempotency]") {
  CHECK_THROWS_AS(replay({.status = 99}), RedisError);
  CHECK_THROWS_AS(replay({.status = 600}), RedisError);
  CHECK_THROWS_AS(replay({.status = 200, .content_type = "a\r\nb: c"}), RedisError);
  CHECK_THROWS_AS(replay({.status = 200, .fields = "no colon\r\n"}), RedisError);
  CHECK_THROWS_AS(replay({.status = 200, .fields = "A: b"}), RedisError);
  CHECK_THROWS_AS(replay({.status = 200, .fields = "A: b\nc\r\n"}), RedisError);
  CHECK_THROWS_AS(replay({.status = 200, .fields = "Content-Length: 7\r\n"}), RedisError);
}
