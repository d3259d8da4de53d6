// The id of a request in logs, the scoreboard and crash reports.
#pragma once

#include <cstdint>
#include <string>

namespace pronghorn {

// Logged as 24 hex digits.
struct RequestId {
  std::uint64_t worker = 0;  // random, chosen by the worker
  std::uint32_t number = 0;  // counts its requests; 0: none assigned yet
};
void write_request_id(const RequestId& id, char (&text)[24]) noexcept;
// The same for a text that has the id of another request of the same worker.
void write_request_number(std::uint32_t number, char (&text)[24]) noexcept;
[[nodiscard]] std::string to_string(const RequestId& id);

}  // namespace pronghorn
