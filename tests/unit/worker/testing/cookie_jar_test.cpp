#include "worker/testing/cookie_jar.h"

#include "support/catch.h"

using pronghorn::worker::CookieJar;

TEST_CASE("cookies are sent back to the paths that they are for", "[cookie_jar]") {
  CookieJar jar;
  jar.store("a=1; Path=/; HttpOnly", "/x");
  jar.store("b=2; path=/shop", "/x");
  jar.store("c=3", "/shop/cart");
  jar.store("d=4", "/top");
  CHECK(jar.field_for("/") == "a=1; d=4");
  CHECK(jar.field_for("/shop") == "b=2; c=3; a=1; d=4");
  CHECK(jar.field_for("/shop/cart/1") == "b=2; c=3; a=1; d=4");
  CHECK(jar.field_for("/shopping") == "a=1; d=4");
}

// Request::cookie() returns the first of a name.
TEST_CASE("of cookies with one name that of the longest path is sent first", "[cookie_jar]") {
  CookieJar jar;
  jar.store("a=1; Path=/", "/");
  jar.store("a=2; Path=/shop/cart", "/");
  jar.store("a=3; Path=/shop", "/");
  jar.store("b=4; Path=/", "/");
  jar.store("a=5; Path=/", "/");  // keeps its place
  CHECK(jar.field_for("/shop/cart") == "a=2; a=3; a=5; b=4");
}

TEST_CASE("a cookie replaces its older self and is removed by Max-Age=0", "[cookie_jar]") {
  CookieJar jar;
  jar.store("a=1; Path=/", "/");
  jar.store("a=x=y; Path=/; Max-Age=60", "/");
  CHECK(jar.field_for("/") == "a=x=y");
  jar.store("a=; Path=/; Max-Age=0", "/");
  CHECK(jar.field_for("/").empty());
  jar.store("a=1; Path=/", "/");
  jar.clear();
  CHECK(jar.field_for("/").empty());
}
