#include "worker/state/cached_responses/stored_response.h"

#include "support/catch.h"

using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

StoredResponse example() {
  return {.kind = StoredResponse::Kind::response,
          .initial_age = 7s,
          .status = 404,
          .vary = {"accept", "x-a"},
          .content_type = "text/plain",
          .fields = "ETag: \"a\"\r\nX-A: 1\r\nX-A: 2\r\n",
          .body = std::string("any\0bytes", 9)};
}

}  // namespace

TEST_CASE("a stored response is read as it was written", "[cache]") {
  const auto read = decode_response(encode(example()));
  REQUIRE(read);
  CHECK(read->kind == StoredResponse::Kind::response);
  CHECK(read->initial_age == 7s);
  CHECK(read->vary == example().vary);
  const auto response = to_response(*read);
  REQUIRE(response);
  CHECK(response->status() == 404);
  CHECK(response->content_type() == "text/plain");
  CHECK(response->header("ETag") == "\"a\"");
  CHECK(response->body() == example().body);
}

TEST_CASE("what is no stored response is refused", "[cache]") {
  const std::string whole = encode(example());
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(decode_response(whole.substr(0, size)));
  CHECK_FALSE(decode_response(whole + "x"));
  CHECK_FALSE(decode_response("X" + whole.substr(1)));
  StoredResponse stored = example();
  for (const char* fields : {"no colon\r\n", "X-A: no end", "Content-Length: 5\r\n", "X A: 1\r\n", "X-A: \x01\r\n"}) {
    stored.fields = fields;
    CHECK_FALSE(to_response(stored));
  }
  stored = example();
  for (const int status : {0, 100, 600, -1}) {
    stored.status = status;
    CHECK_FALSE(to_response(stored));
  }
}
