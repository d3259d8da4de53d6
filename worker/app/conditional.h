// Conditional and range requests (RFC 9110 sections 13 and 14) for a representation that is at hand.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "pronghorn/request.h"

namespace pronghorn::worker {

struct Representation {
  std::string etag;  // strong, with its quotes
  std::time_t modified = 0;
  std::uint64_t size = 0;
};

// What a GET or HEAD is to be answered with.
struct Selection {
  int status = 200;  // 200, 206, 304, 412, 416
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// Evaluates If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, then Range with If-Range. One range is
// served; several, or one that is malformed, count as none.
[[nodiscard]] Selection select(const Request& request, const Representation& representation);

}  // namespace pronghorn::worker
