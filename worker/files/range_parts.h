// The response to a request for several ranges of a file.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "pronghorn/response.h"
#include "worker/files/byte_ranges.h"
#include "worker/net/open_file.h"

namespace pronghorn::worker {

// Returns a 206 of type multipart/byteranges (RFC 9110 section 14.6). The parts, each of type `content_type`, are read
// as they are sent, not held in memory. The boundary is random: no file can contain it.
[[nodiscard]] Response range_parts(std::shared_ptr<const OpenFile> file, std::vector<ByteRange> ranges,
                                   std::uint64_t file_size, std::string_view content_type);

}  // namespace pronghorn::worker
