#include "common/text/time_left.h"

#include <algorithm>

namespace pronghorn {

std::string time_left_text(std::int64_t seconds) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (seconds >= 2 * kDay) return std::to_string(seconds / kDay) + " days";
  if (seconds >= 2 * kHour) return std::to_string(seconds / kHour) + " hours";
  const std::int64_t minutes = std::max<std::int64_t>(seconds / kMinute, 1);
  return std::to_string(minutes) + (minutes == 1 ? " minute" : " minutes");
}

}  // namespace pronghorn
