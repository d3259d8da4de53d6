#include "worker/http2/protocol/priority.h"

#include "support/catch.h"

using namespace pronghorn::worker;

TEST_CASE("the priority of a response is read as RFC 9218 says", "[http2]") {
  const auto is = [](const char* field, unsigned urgency, int incremental) {
    const nghttp2_extpri priority = parse_priority(field);
    return priority.urgency == urgency && priority.inc == incremental;
  };
  CHECK(is("u=1, i", 1, 1));
  CHECK(is("u=7", 7, 0));
  CHECK(is("i=?1,u=0", 0, 1));
  CHECK(is("i, i=?0", 3, 0));
  CHECK(is("", 3, 0));
  CHECK(is("u=8, x=1, i=1", 3, 0));
  CHECK(is("u=1, u=8", 3, 0));
  CHECK(is("u=3.0, i=1, u=a", 3, 0));
  CHECK(is("u=5;x, i;a=1;b", 5, 1));
  CHECK(is("u=5;x=u, i=?1; a, i=?0;x", 5, 0));
  CHECK(is("u;x=5, x;u=5", 3, 0));
  CHECK(is(R"(x="a,u=7, i", u=1)", 1, 0));
  CHECK(is(R"(u=2;x="\\", y="\",u=5", i)", 2, 1));
}

TEST_CASE("a Priority that is malformed somewhere says nothing", "[http2]") {
  const char* const field = GENERATE(R"(u=2, x="i, u=1)", R"(u=2, x="\)", "u=2,", "u=2, ,i", "u=2 i", "u=2;", "u=2, I",
                                     "u=2, x=", "u=2, i=?2", "u=2, x=1234567890123456", "u=2, x=1.", "\tu=2");
  INFO(field);
  CHECK(parse_priority(field).urgency == 3);
  CHECK(parse_priority(field, parse_priority("u=0, i")).urgency == 0);
}

// RFC 9218 section 8. A response with "i" alone lost the urgency for which its client had asked.
TEST_CASE("what a response does not say of its priority is as its client has asked", "[http2]") {
  const nghttp2_extpri asked = parse_priority("u=0, i");
  CHECK(parse_priority("i=?0", asked).urgency == 0);
  CHECK(parse_priority("u=5", asked).inc == 1);
  CHECK(parse_priority("", asked).urgency == 0);
}
