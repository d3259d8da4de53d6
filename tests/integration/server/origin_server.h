// A server that tells who it takes its client for: apps/origin, reached from a proxy and from elsewhere.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "support/processes/server_process.h"

namespace pronghorn::test {

// Addresses of the server. Peers of the first come from 127.0.0.1, which the tests make a proxy; those of the second
// come over IPv6.
inline constexpr std::size_t kProxy = 0;
inline constexpr std::size_t kOther = 1;

inline ServerOptions origin_server(std::vector<std::string> arguments) {
  return {.app = app_path("apps/origin"),
          .workers = 1,
          .listen = {"127.0.0.1:0", "[::1]:0"},
          .arguments = std::move(arguments)};
}

}  // namespace pronghorn::test
