#include "worker/http/request_body.h"

#include "support/catch.h"

using namespace pronghorn::worker;

// HTTP/2 pushes what arrives with the head before the route is known.
TEST_CASE("what has arrived before the limit of a body is known counts", "[body]") {
  RequestBody body;
  body.begin();
  body.push("123456");
  CHECK(body.set_limit(6));
  CHECK_FALSE(body.set_limit(5));
}
