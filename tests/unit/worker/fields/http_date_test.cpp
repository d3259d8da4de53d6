#include "worker/fields/http_date.h"

#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("dates are read in the three forms of RFC 9110, and only if they can be", "[http_date]") {
  CHECK(worker::http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994"}) {
    INFO(text);
    CHECK(worker::parse_http_date(text) == 784111777);
  }
  CHECK(worker::parse_http_date("Wednesday, 01-Jan-31 00:00:00 GMT") == 1924992000);
  for (const char* text :
       {"", "Sunday, 06-Nov-94 08:49:37 CET", "Sun Nov  6 08:49:37 1994 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun Foo  6 08:49:37 1994", "Sunday, 6-Nov-94 08:49:37 GMT", ", 06-Nov-94 08-49-37 GMT", ",",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT"}) {
    INFO(text);
    CHECK_FALSE(worker::parse_http_date(text));
  }
}
