// Tables of bytes on the wire and what must come back: for the tests http_*_test.cpp.
#pragma once

#include <string>
#include <vector>

#include "support/server_process.h"

namespace pronghorn::test {

enum class After { kept, closed };  // the connection, when the responses have been read

struct FramingCase {
  std::string name;
  std::string bytes;
  std::vector<int> statuses;  // of the responses, in order; none of the requests is a HEAD
  After after = After::kept;
  std::string last_body = "*";  // of the last response; "*": any
};

// A head with a valid Host and the empty line: "GET /hello HTTP/1.1" + `fields` (each with its CRLF).
[[nodiscard]] std::string get_with(const std::string& fields);
[[nodiscard]] std::string post_with(const std::string& fields, const std::string& body);
[[nodiscard]] std::string post_chunked(const std::string& chunks);

// Sends each case whole and, when it is short, again byte by byte, on connections of their own; checks statuses, body
// and whether the connection ends. A kept one must answer one more request.
void check_table(const ServerProcess& server, const std::vector<FramingCase>& table);

}  // namespace pronghorn::test
