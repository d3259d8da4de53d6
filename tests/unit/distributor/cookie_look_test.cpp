#include "distributor/cookie_look.h"

#include "support/catch.h"

using namespace pronghorn::distributor;

TEST_CASE("the session cookie is found in the beginning of a request", "[distributor]") {
  const auto found = find_cookie("GET / HTTP/1.1\r\nHost: x\r\ncOOkie: a=1; session=abc; b=2\r\nAc", "session");
  CHECK(found.complete);
  CHECK(found.value == "abc");
  const auto none = find_cookie("GET / HTTP/1.1\r\nHost: x\r\nCookie: mysession=no; xsession=no\r\n\r\n", "session");
  CHECK(none.complete);
  CHECK(none.value.empty());
  CHECK_FALSE(find_cookie("GET / HTTP/1.1\r\nHost: x\r\nCookie: session=ab", "session").complete);
  CHECK_FALSE(find_cookie("", "session").complete);
  CHECK(find_cookie("\n\n", "session").complete);
  CHECK(find_cookie("x\nCookie:;;;=; session=\r\n\n", "session").value.empty());
}
