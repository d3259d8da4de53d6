#include "common/text/utf8.h"

#include <string>

#include "support/catch.h"

using pronghorn::is_utf8;
using pronghorn::utf8_sequence;
using pronghorn::Utf8Stream;

namespace {

std::string encode(unsigned point) {
  const auto tail = [point](int shift) { return static_cast<char>(0x80 | ((point >> shift) & 0x3f)); };
  if (point < 0x80) return {static_cast<char>(point)};
  if (point < 0x800) return {static_cast<char>(0xc0 | (point >> 6)), tail(0)};
  if (point < 0x10000) return {static_cast<char>(0xe0 | (point >> 12)), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | (point >> 18)), tail(12), tail(6), tail(0)};
}

}  // namespace

TEST_CASE("every code point is UTF-8, but not a surrogate and nothing above U+10FFFF", "[utf8]") {
  for (unsigned point = 0; point < 0x120000; ++point) {
    const std::string text = encode(point);
    const bool exists = point < 0x110000 && (point < 0xd800 || point > 0xdfff);
    if (is_utf8(text) != exists || utf8_sequence(text) != (exists ? text.size() : 0)) FAIL("U+" << std::hex << point);
  }
}

TEST_CASE("a text can be checked in pieces", "[utf8]") {
  const std::string text = "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x90\x8d\x88 and sixteen more bytes";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Utf8Stream stream;
    CHECK(stream.add(text.substr(0, cut)));
    CHECK(stream.complete() == is_utf8(text.substr(0, cut)));
    CHECK(stream.add(text.substr(cut)));
    CHECK(stream.complete());
  }
}

TEST_CASE("a byte that cannot belong to a text is found when it comes", "[utf8]") {
  Utf8Stream stream;
  CHECK(stream.add("\xf4"));
  CHECK_FALSE(stream.add("\x90"));
}

TEST_CASE("UTF-8 can be checked by the compiler", "[utf8]") {
  STATIC_REQUIRE(is_utf8("gr\xc3\xbc\xc3\x9f, sixteen bytes"));
  STATIC_REQUIRE_FALSE(is_utf8("\xc3"));
}
