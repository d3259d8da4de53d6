// Parts of a representation (RFC 9110 section 14).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

// More ranges in one field than anyone needs: the field is ignored and the whole answered (RFC 9110 section 14.2).
inline constexpr std::size_t kMaxRanges = 32;

struct ByteRange {
  std::uint64_t offset;
  std::uint64_t length;  // at least 1
};

struct RangeSet {
  enum class Kind {
    ignored,        // not bytes, malformed, or too many: as if the field were not there
    unsatisfiable,  // none lies within the representation: 416
    satisfiable,
  };
  Kind kind = Kind::ignored;
  // In the order asked for; those that overlap are joined, so that all together are never more than the whole.
  std::vector<ByteRange> ranges;
};

// Reads the value of a Range field for a representation of `size` bytes.
[[nodiscard]] RangeSet read_ranges(std::string_view field, std::uint64_t size);

// The value of Content-Range: "bytes 0-4/10".
[[nodiscard]] std::string content_range(const ByteRange& range, std::uint64_t size);

}  // namespace pronghorn::worker
