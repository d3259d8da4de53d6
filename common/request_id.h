// The id that a request has in logs, in the scoreboard and in crash reports.
#pragma once

#include <cstdint>
#include <string>

namespace pronghorn {

// The id of a request as it is logged: 24 hex digits.
struct RequestId {
  std::uint64_t worker = 0;  // random, of the worker
  std::uint32_t number = 0;  // counted up by it; 0: none yet
};
void write_request_id(const RequestId& id, char (&text)[24]) noexcept;
[[nodiscard]] std::string to_string(const RequestId& id);

}  // namespace pronghorn
