// Tables of what an HTTP/2 client sends, and of what RFC 9113 requires of a server: the HTTP/2 form of framing_cases.h.
//
// The cases are written for examples/demo: GET /hello, GET /json, POST /echo, and the WebSocket
// /echo/socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pronghorn::test {

// A request as the fields of its header block.
struct Http2RequestCase {
  std::string name;
  std::vector<std::pair<std::string, std::string>> fields;
  std::optional<std::string> body;  // absent: the request ends with its head
  int status = 0;                   // of the response; 0: the stream is reset
  std::uint32_t error = 0;          // of the reset
  std::string response = "*";       // the body of the response; "*" for any
};
[[nodiscard]] std::vector<Http2RequestCase> http2_request_cases();

// Frames behind the preface and the client's SETTINGS.
struct Http2FrameCase {
  enum class Ends { connection, stream_1, nothing };
  std::string name;
  std::string bytes;
  Ends ends = Ends::connection;
  std::uint32_t error = 0;  // of the GOAWAY, or of the RST_STREAM
};
[[nodiscard]] std::vector<Http2FrameCase> http2_frame_cases();

// An extended CONNECT for /echo/socket, with a query if `asks`, the bytes in two DATA frames, and a reset.
[[nodiscard]] std::string http2_socket(std::string_view bytes, bool asks);

// "PRI * HTTP/2.0 …" and an empty SETTINGS frame.
[[nodiscard]] std::string http2_preface();

}  // namespace pronghorn::test
