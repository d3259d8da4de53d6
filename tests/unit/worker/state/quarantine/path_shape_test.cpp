#include "worker/state/quarantine/path_shape.h"

#include "support/catch.h"

using namespace pronghorn::worker;

TEST_CASE("numbers in a path have one shape", "[quarantine]") {
  CHECK(path_shape("/users/17") == "/users/N");
  CHECK(path_shape("/users/17") == path_shape("/users/4711"));
  CHECK(path_shape("/posts/2026-11-22/p7b") == "/posts/N-N-N/pNb");
  CHECK(path_shape("/") == "/");
  CHECK(path_shape("/a//b/") == "/a//b/");
  CHECK(path_shape("*") == "*");
  CHECK(path_shape("").empty());
}

TEST_CASE("ids that look random have one shape", "[quarantine]") {
  CHECK(path_shape("/o/123e4567-e89b-12d3-a456-426614174000/x") == "/o/{uuid}/x");
  CHECK(path_shape("/o/123E4567-E89B-12D3-A456-426614174000") == "/o/{uuid}");
  CHECK(path_shape("/o/507f1f77bcf86cd799439011") == "/o/{hex}");
  CHECK(path_shape("/o/1234567890123456") == "/o/N");
  CHECK(path_shape("/o/Zm9vYmFyYmF6MTIzNDU2") == "/o/{token}");
  CHECK(path_shape("/o/eyJhbGciOiJIUzI1NiJ9.e30.Et9HFtf9R3GEMA") == "/o/{token}");
}

TEST_CASE("words in a path are kept unchanged", "[quarantine]") {
  CHECK(path_shape("/users/ada") == "/users/ada");
  CHECK(path_shape("/blog/My-First-Article-of-the-Year") == "/blog/My-First-Article-of-the-Year");
  CHECK(path_shape("/facade/decade") == "/facade/decade");
  CHECK(path_shape("/123e4567-e89b-12d3-a456-42661417400z") == "/NeN-eNb-NdN-aN-Nz");
}

TEST_CASE("an encoded path has the shape of the decoded one", "[quarantine]") {
  CHECK(path_shape("/%75sers/%31%37") == "/users/N");
  CHECK(path_shape("/files/a%2Fb") == "/files/a%2Fb");
  CHECK(path_shape("/files/a%2fb") == "/files/a%2Fb");
}

TEST_CASE("a shape has neither blanks nor control characters", "[quarantine]") {
  CHECK(path_shape("/a%20b%0Ac%1B[31m%C3%A9") == "/a%20b%0Ac%1B[Nm%C3%A9");
  CHECK(path_shape("/broken%2") == "/broken%N");
  CHECK(path_shape(std::string(200, '\x01')).size() == 600);
}

TEST_CASE("a visible text is truncated to its limit", "[quarantine]") {
  CHECK(visible("a b", 10) == "a%20b");
  CHECK(visible("abcdef", 3) == "abc");
  CHECK(visible("ab\n", 4) == "ab%0");
}
