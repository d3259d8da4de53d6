// How long something lasts, for people.
#pragma once

#include <cstdint>
#include <string>

namespace pronghorn {

// "13 days", "30 hours", "5 minutes": in the largest unit of which there are two or more, rounded down; at least one
// minute.
[[nodiscard]] std::string time_left_text(std::int64_t seconds);

}  // namespace pronghorn
