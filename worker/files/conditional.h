// Conditional requests and range requests (RFC 9110 sections 13 and 14).
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <vector>

#include "pronghorn/request.h"
#include "worker/files/byte_ranges.h"

namespace pronghorn::worker {

struct Representation {
  std::string etag;  // strong, with its quotes
  std::time_t modified = 0;
  std::uint64_t size = 0;
};

// The response to a GET or HEAD.
struct Selection {
  int status = 200;               // 200, 206, 304, 412 or 416
  std::vector<ByteRange> ranges;  // for 206, at least one; otherwise empty
};

// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of RFC 9110 section 13.2.2,
// then Range and If-Range.
[[nodiscard]] Selection select(const Request& request, const Representation& representation);

}  // namespace pronghorn::worker
