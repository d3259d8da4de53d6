#include "worker/state/cached_responses/cache_control.h"

#include "support/catch.h"

using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

CacheControl parse(std::string_view value) {
  CacheControl control;
  control.add(value);
  return control;
}

}  // namespace

TEST_CASE("directives are read in any case, with blanks and quotation marks", "[cache]") {
  const CacheControl control =
      parse(" PUBLIC ,, Max-Age=\"60\" , s-maxage = 10,stale-while-revalidate=5, other=\"a, b\"");
  CHECK(control.is_public);
  CHECK(control.max_age == 60s);
  CHECK(control.s_maxage == 10s);
  CHECK(control.stale_while_revalidate == 5s);
  CHECK_FALSE(control.no_store);
  CHECK(parse("no-store").no_store);
  CHECK(parse("no-cache").no_cache);
  CHECK(parse("private").is_private);
  CHECK(parse("must-revalidate").must_revalidate);
  CHECK(parse("proxy-revalidate").must_revalidate);
  CHECK(parse("only-if-cached").only_if_cached);
  CHECK(parse("min-fresh=7").min_fresh == 7s);
}

TEST_CASE("directives for single fields count for the whole response", "[cache]") {
  CHECK(parse("private=\"Set-Cookie, X-User\"").is_private);
  CHECK(parse("no-cache=\"Set-Cookie\"").no_cache);
}

TEST_CASE("text inside quotation marks is no directive", "[cache]") {
  CHECK_FALSE(parse("ext=\"no-store, private\"").no_store);
  CHECK_FALSE(parse("ext=\"\\\", no-store\"").no_store);
  CHECK_FALSE(parse("ext=\"a\", max-age=\"5\" , ext=\"\"").no_store);
}

// A shared cache stored what may have been forbidden to store.
TEST_CASE("wrong quotation marks forbid to store", "[cache]") {
  CHECK(parse("ext=\"a, no-store").no_store);
  CHECK(parse("ext=\"a, max-age=60").no_store);
  CHECK(parse("max-age=60, ext=\"\\\"").no_store);
  CHECK(parse("max-age=60, ext=\"\\").no_store);
  CHECK(parse("ext\"a, private\", max-age=60").no_store);
  CHECK(parse("ext=a\", private, b=\"").no_store);
  CHECK(parse("ext=\"a\"b\"c\"").no_store);
}

TEST_CASE("times that are invalid or contradict each other are zero, long ones are cut", "[cache]") {
  CHECK(parse("max-age").max_age == 0s);
  CHECK(parse("max-age=").max_age == 0s);
  CHECK(parse("max-age=-1").max_age == 0s);
  CHECK(parse("max-age=1.5").max_age == 0s);
  CHECK(parse("max-age=60, max-age=30").max_age == 0s);
  CHECK(parse("max-age=60, max-age=60").max_age == 60s);
  CHECK(parse("max-age=99999999999999999999999999999").max_age == 366 * 24h);
  CHECK_FALSE(parse("max-agee=1").max_age);
}

TEST_CASE("directives of several fields add up", "[cache]") {
  CacheControl control;
  control.add("max-age=60");
  control.add("private");
  CHECK(control.max_age == 60s);
  CHECK(control.is_private);
}
