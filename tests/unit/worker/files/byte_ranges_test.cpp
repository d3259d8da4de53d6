#include "worker/files/byte_ranges.h"

#include <string>

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

// "0+3 5+1": offsets and lengths; "ignored", "unsatisfiable".
std::string ranges_of(std::string_view field, std::uint64_t size) {
  const RangeSet set = read_ranges(field, size);
  if (set.kind == RangeSet::Kind::ignored) return "ignored";
  if (set.kind == RangeSet::Kind::unsatisfiable) return "unsatisfiable";
  std::string text;
  for (const auto& [offset, length] : set.ranges) {
    text += (text.empty() ? "" : " ") + std::to_string(offset) + "+" + std::to_string(length);
  }
  return text;
}

}  // namespace

TEST_CASE("ranges keep the order of the request", "[range]") {
  CHECK(ranges_of("bytes=0-1,4-5", 10) == "0+2 4+2");
  CHECK(ranges_of("bytes=8-,0-0,-3", 10) == "7+3 0+1");
  CHECK(ranges_of("bytes=5-5, 3-3 ,\t1-1", 10) == "5+1 3+1 1+1");
  CHECK(ranges_of("bytes=0-1,2-3", 10) == "0+2 2+2");  // adjacent ones do not overlap
}

TEST_CASE("ranges that overlap are joined, so that never more than the whole is sent", "[range]") {
  CHECK(ranges_of("bytes=0-,0-,0-,0-", 10) == "0+10");
  CHECK(ranges_of("bytes=1-2,5-6,2-5", 10) == "1+6");
  CHECK(ranges_of("bytes=7-8,0-1,4-5,1-7", 10) == "0+9");
  CHECK(ranges_of("bytes=0-4,9-9,3-5,-1", 10) == "0+6 9+1");
}

TEST_CASE("ranges outside the file are left out, and a field with too many is ignored", "[range]") {
  CHECK(ranges_of("bytes=10-,0-0", 10) == "0+1");
  CHECK(ranges_of("bytes=10-", 10) == "unsatisfiable");
  CHECK(ranges_of("bytes=0-", 0) == "unsatisfiable");
  CHECK(ranges_of("bytes=-0", 0) == "unsatisfiable");
  std::string most = "bytes=0-0";
  for (std::size_t i = 1; i < kMaxRanges; ++i) most += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
  CHECK(read_ranges(most, 1000).ranges.size() == kMaxRanges);
  CHECK(ranges_of(most + ",900-", 1000) == "ignored");
  CHECK(ranges_of(most + ",2000-", 1000) == "ignored");
}

// RFC 9110 section 14.1.2: a suffix is satisfiable if it is not 0. There is no Content-Range of nothing.
TEST_CASE("a suffix of an empty file is the whole file", "[range]") {
  CHECK(ranges_of("bytes=-5", 0) == "ignored");
  CHECK(ranges_of("bytes=0-,-5", 0) == "ignored");
  CHECK(ranges_of("bytes=-5", 1) == "0+1");
}

TEST_CASE("numbers beyond 64 bits are past the end", "[range]") {
  CHECK(ranges_of("bytes=1-18446744073709551615", 10) == "1+9");
  CHECK(ranges_of("bytes=1-18446744073709551616", 10) == "1+9");
  CHECK(ranges_of("bytes=18446744073709551616-", 10) == "unsatisfiable");
  CHECK(ranges_of("bytes=-18446744073709551616", 10) == "0+10");
  CHECK(ranges_of("bytes=9223372036854775807-", UINT64_MAX) == "9223372036854775807+9223372036854775808");
}

TEST_CASE("a malformed range invalidates the whole field", "[range]") {
  for (const char* field :
       {"", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=--1", "bytes=1", "bytes=1-0", "bytes=a-", "bytes=0-1,",
        "bytes=0x1-2", "bytes=+1-2", "bytes= 1 - 2", "bytes=0-1 2-3", "bits=0-1"}) {
    INFO(field);
    CHECK(ranges_of(field, 10) == (std::string_view(field) == "bytes=0-1," ? "0+2" : "ignored"));
  }
}
