#include "worker/forms/parameters.h"

#include <string>

#include "support/catch.h"

using pronghorn::worker::kMaxParameters;
using pronghorn::worker::parse_parameters;

TEST_CASE("a field value is split into its value and parameters", "[http][parameters]") {
  const auto field = parse_parameters(R"( form-data ;name="a; b" ; Filename=x/y=z;)");
  REQUIRE(field);
  CHECK(field->value == "form-data");
  REQUIRE(field->find("NAME"));
  CHECK(*field->find("NAME") == "a; b");
  REQUIRE(field->find("filename"));
  CHECK(*field->find("filename") == "x/y=z");
  CHECK(field->find("other") == nullptr);
  CHECK(parse_parameters("text/plain")->parameters.empty());
}

TEST_CASE("a backslash in a quoted value escapes quotation marks and backslashes alone", "[http][parameters]") {
  CHECK(*parse_parameters(R"(a; b="say \"hi\"")")->find("b") == R"(say "hi")");
  CHECK(*parse_parameters(R"(a; b="C:\new\\x")")->find("b") == R"(C:\new\x)");
}

TEST_CASE("a malformed or repeated parameter is refused", "[http][parameters]") {
  for (const std::string_view field : {R"(a; b)", R"(a; b=)", R"(a; =b)", R"(a; b="c)", R"(a; b="c\")", R"(a; b="c"d)",
                                       R"(a; b=c d)", R"(a; b =c)", R"(a; b=c; B=d)", "a; b=c\"d", ";;"}) {
    CAPTURE(field);
    CHECK_FALSE(parse_parameters(field));
  }
}

TEST_CASE("a field with too many parameters is refused", "[http][parameters]") {
  std::string field = "a";
  for (std::size_t i = 0; i < kMaxParameters; ++i) field += "; p" + std::to_string(i) + "=x";
  CHECK(parse_parameters(field));
  CHECK_FALSE(parse_parameters(field + "; more=x"));
}
