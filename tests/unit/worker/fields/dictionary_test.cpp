#include "worker/fields/dictionary.h"

#include <optional>
#include <string>

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

// "key=5 flag=? other=*": the members with their values; nullopt if malformed.
std::optional<std::string> read(std::string_view field) {
  std::string text;
  DictionaryReader members(field);
  while (const auto member = members.next()) {
    text.append(text.empty() ? "" : " ").append(member->key).append("=");
    if (const auto* const number = std::get_if<std::int64_t>(&member->value)) text += std::to_string(*number);
    if (const bool* const flag = std::get_if<bool>(&member->value)) text += *flag ? "yes" : "no";
    if (std::holds_alternative<DictionaryReader::Other>(member->value)) text += '*';
  }
  if (members.malformed()) return std::nullopt;
  return text;
}

}  // namespace

TEST_CASE("dictionaries of structured fields are read", "[fields]") {
  CHECK(read("") == "");
  CHECK(read("  ") == "");
  CHECK(read("a") == "a=yes");
  CHECK(read(" a=1 \t,\t*b-_.*9=?0  ") == "a=1 *b-_.*9=no");
  CHECK(read("a=-999999999999999, b=0012") == "a=-999999999999999 b=12");
  CHECK(read("a=123456789012.123, b=-0.5") == "a=* b=*");
  CHECK(read(R"(a="", b="x, \"y\\", c)") == "a=* b=* c=yes");
  CHECK(read("a=tok:en/*!, b=*x, c=:aGVsbG8=:, d=::") == "a=* b=* c=* d=*");
  CHECK(read(R"(a=(), b=( 1  "x";y=2;  z t ), c=(1);d="e")") == "a=* b=* c=*");
  CHECK(read("a;b;c=1.5, d=2;e=:YQ==:;f") == "a=yes d=2");
  CHECK(read("a=1, a=2") == "a=1 a=2");
}

TEST_CASE("malformed dictionaries of structured fields are refused", "[fields]") {
  const char* const field = GENERATE(
      ",", "a,", "a,,b", "a b", "a;", "a; ;b", "a ;b=1 c", "A", "1", "a=", "a= 1", "a =1", "\ta", "a=-", "a=--1",
      "a=1234567890123456", "a=1.", "a=1.1234", "a=1234567890123.1", "a=1.-1", "a=?", "a=?2", "a=?t", "a=\"",
      "a=\"\\\"", "a=\"\\n\"", "a=\"\x01\"", "a=\"\xc3\xbc\"", "a=:", "a=:a b:", "a=:a", "a=(", "a=(1", "a=(1,2)",
      "a=(1\t2)", "a=(1\"x\")", "a=((1))", "a=()b", "a=(1 ;b)", "a=1;B", "a=1;b=()", "a=@1", "a='x'", "a=\"x\"\"y\"");
  INFO(field);
  CHECK_FALSE(read(field).has_value());
}
