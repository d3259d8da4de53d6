// What the tests of this folder ask for.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"

namespace pronghorn::test {

// The bytes of a request. `more`: further fields, the empty line and a body.
inline std::string request(std::string_view method, std::string_view target, std::string_view more = "\r\n") {
  return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(more);
}

// The body of /download?bytes=N.
inline std::string numbered(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

// Connections that have been served and are idle.
inline std::vector<HttpConnection> keep(const ServerProcess& server, int count) {
  std::vector<HttpConnection> connections;
  for (int i = 0; i < count; ++i) REQUIRE(connections.emplace_back(server.address()).get("/hello").status == 200);
  return connections;
}

}  // namespace pronghorn::test
