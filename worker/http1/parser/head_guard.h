// Finds the end of a request's head and refuses what a lenient parser might take for a line end.
//
// Whatever llhttp is linked, it gets only heads in which every CR is followed by LF, every LF follows a CR, no line
// begins with a blank (obsolete folding), and no other control character but HTAB stands (RFC 9112 sections 2.2, 5.2
// and 11.2). What is not so could be read differently by a proxy in front of us: request smuggling.
#pragma once

#include <cstddef>
#include <string_view>

namespace pronghorn::worker {

struct HeadScan {
  enum class State { incomplete, complete, malformed };
  State state;
  std::size_t position;    // complete: size of the head with its empty line. incomplete: where to scan on.
  std::size_t first_line;  // length of the request line without CRLF; npos when its end was not seen
};

// Scans from `from`, the position that an earlier scan of the same bytes returned; 0 at first. `bytes` begins with the
// request line. `first_line` is handed on from scan to scan by the caller.
[[nodiscard]] HeadScan scan_head(std::string_view bytes, std::size_t from, std::size_t first_line) noexcept;

}  // namespace pronghorn::worker
