// Header fields as they are sent: lines "Name: value\r\n".
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

namespace pronghorn::worker {

// Finds the first line whose name is `name`, compared without case. Returns its position and its size with CRLF;
// {npos, 0} if there is none.
[[nodiscard]] std::pair<std::size_t, std::size_t> find_field(std::string_view fields, std::string_view name) noexcept;

}  // namespace pronghorn::worker
