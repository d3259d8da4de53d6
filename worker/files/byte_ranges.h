// Byte ranges of a representation (RFC 9110 section 14).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

// A Range field with more ranges than this is ignored, as RFC 9110 section 14.2 allows: many small ranges are an
// attack.
inline constexpr std::size_t kMaxRanges = 32;

struct ByteRange {
  std::uint64_t offset;
  std::uint64_t length;  // at least 1
};

struct RangeSet {
  enum class Kind {
    ignored,        // another unit, malformed, or too many ranges: send the whole representation
    unsatisfiable,  // no range lies within the representation: 416
    satisfiable,
  };
  Kind kind = Kind::ignored;
  // In the order of the request. Overlapping ranges are joined, so that together they never exceed the representation.
  std::vector<ByteRange> ranges;
};

// Parses the value of a Range field for a representation of `size` bytes.
[[nodiscard]] RangeSet read_ranges(std::string_view field, std::uint64_t size);

// The value of Content-Range: "bytes 0-4/10".
[[nodiscard]] std::string content_range(const ByteRange& range, std::uint64_t size);

}  // namespace pronghorn::worker
