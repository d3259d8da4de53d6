#include "worker/admin/negotiation.h"

#include "support/catch.h"

using pronghorn::worker::prefers_html;

TEST_CASE("browsers get the page and programs get JSON") {
  CHECK(prefers_html("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"));
  CHECK(prefers_html("text/html"));
  CHECK(prefers_html("TEXT/HTML ; Q=0.5, application/json;q=0.4"));
  CHECK(prefers_html("text/*"));
  CHECK_FALSE(prefers_html(""));
  CHECK_FALSE(prefers_html("*/*"));
  CHECK_FALSE(prefers_html("application/json"));
  CHECK_FALSE(prefers_html("application/json, text/html"));
  CHECK_FALSE(prefers_html("text/html;q=0.2, */*"));
}

TEST_CASE("the most specific media range decides") {
  CHECK_FALSE(prefers_html("text/html;q=0, text/*"));
  CHECK(prefers_html("application/json;q=0.1, */*;q=0.5"));
}

TEST_CASE("a malformed Accept means JSON") {
  for (const char* accept :
       {",,;;==", "text/html;q=2", "text/html;q=0.1234", "text/html;q=", "text/html;q=a", "html"}) {
    INFO(accept);
    CHECK_FALSE(prefers_html(accept));
  }
}
