// Renders the status line and fields of a response.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pronghorn/response.h"

namespace pronghorn::worker {

// The fields that the connection decides about.
struct ResponseFraming {
  std::optional<std::uint64_t> content_length = {};  // absent: no Content-Length field
  bool chunked = false;
  bool close = false;                 // "Connection: close"
  bool keep_alive_1_0 = false;        // "Connection: keep-alive", which an HTTP/1.0 client waits for
  std::string_view request_id = {};   // "X-Request-Id", at most 128 bytes; empty: none
  std::string_view traceparent = {};  // the same with the trace that the client began
};

// Appends the head with its empty line to `out`: the status line, what the server adds, then the response's own fields.
// Date and Server fields of the application replace those of the server. `body` follows.
void append_response_head(std::string& out, const Response& response, const ResponseFraming& framing,
                          std::string_view body = {});

}  // namespace pronghorn::worker
