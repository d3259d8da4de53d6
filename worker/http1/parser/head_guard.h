// Finds the end of a request head, and refuses bytes that a lenient parser could take for a line end.
//
// A complete head has only CRLF line ends, no line that begins with whitespace (obsolete folding), and no control
// character other than HTAB (RFC 9112 sections 2.2, 5.2 and 11.2). A proxy in front of this server could split any
// other head differently, which is how requests are smuggled. The check does not depend on the version of llhttp.
#pragma once

#include <cstddef>
#include <string_view>

namespace pronghorn::worker {

struct HeadScan {
  enum class State { incomplete, complete, malformed };
  State state;
  std::size_t position;    // complete: the size of the head with its empty line; incomplete: where to continue
  std::size_t first_line;  // the length of the request line without CRLF; npos if its end has not been seen
};

// Scans `bytes`, which begin with the request line. When an earlier scan of the same bytes was incomplete, `from` and
// `first_line` are its position and first_line, so that no byte is scanned twice; otherwise 0 and npos.
[[nodiscard]] HeadScan scan_head(std::string_view bytes, std::size_t from, std::size_t first_line) noexcept;

}  // namespace pronghorn::worker
