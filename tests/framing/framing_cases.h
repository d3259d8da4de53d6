// A table of bytes that a client sends, and of the responses that RFC 9110 and 9112 require. The integration tests send
// them to the real server (integration/http/framing_table.h); the fuzz targets use them as seeds.
//
// The cases are written for examples/demo: GET /hello, GET /json, POST /echo.
#pragma once

#include <string>
#include <vector>

namespace pronghorn::test {

// The state of the connection after the responses.
enum class After {
  kept,
  closed,
  closed_waiting,  // closed, although the client has not sent all of its message: its next bytes would belong to it
};

struct FramingCase {
  std::string name;
  std::string bytes;
  std::vector<int> statuses;  // of the responses, in order; no request is a HEAD
  After after = After::kept;
  std::string last_body = "*";  // the body of the last response; "*" for any
};
using FramingCases = std::vector<FramingCase>;

// A case that is refused: one response, then the connection is closed.
[[nodiscard]] FramingCase refused(std::string name, std::string bytes, int status = 400);

// A head with a valid Host and the empty line: "GET /hello HTTP/1.1" + `fields` (each with its CRLF).
[[nodiscard]] std::string get_with(const std::string& fields);
[[nodiscard]] std::string get_target(const std::string& target);
[[nodiscard]] std::string post_with(const std::string& fields, const std::string& body);
[[nodiscard]] std::string post_chunked(const std::string& chunks);

// cases_request_line.cpp
[[nodiscard]] FramingCases request_line_cases();
[[nodiscard]] FramingCases method_cases();
[[nodiscard]] FramingCases version_cases();
[[nodiscard]] FramingCases target_cases();
[[nodiscard]] FramingCases odd_path_cases();  // valid targets without a file or route

// cases_fields.cpp
[[nodiscard]] FramingCases host_cases();
[[nodiscard]] FramingCases folding_cases();
[[nodiscard]] FramingCases field_name_cases();
[[nodiscard]] FramingCases field_value_cases();
[[nodiscard]] FramingCases connection_cases();
[[nodiscard]] FramingCases expect_cases();

// cases_bytes.cpp
[[nodiscard]] FramingCases line_end_cases();
[[nodiscard]] FramingCases control_cases();

// cases_bodies.cpp
[[nodiscard]] FramingCases content_length_cases();
[[nodiscard]] FramingCases transfer_encoding_cases();
[[nodiscard]] FramingCases smuggling_cases();

// cases_chunks.cpp
[[nodiscard]] FramingCases chunk_cases();
[[nodiscard]] FramingCases malformed_chunk_cases();
[[nodiscard]] FramingCases trailer_cases();

// cases_pipelines.cpp
[[nodiscard]] FramingCases pipeline_cases();

// All of the above.
[[nodiscard]] FramingCases all_framing_cases();

}  // namespace pronghorn::test
