#include "worker/app/http_date.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace pronghorn::worker {

namespace {

constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

bool read_number(std::string_view digits, int& number) noexcept {
  if (!std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
  return std::from_chars(digits.data(), digits.data() + digits.size(), number).ec == std::errc{};
}

}  // namespace

std::string http_date(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[static_cast<std::size_t>(parts.tm_wday)],
                     parts.tm_mday, kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::optional<std::time_t> parse_http_date(std::string_view text) noexcept {
  // 0    5  8   12   17 20 23 26
  // Sun, 06 Nov 1994 08:49:37 GMT
  if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' || text[16] != ' ' ||
      text[19] != ':' || text[22] != ':' || text.substr(25) != " GMT") {
    return std::nullopt;
  }
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  std::tm parts{};
  if (month == kMonths.end() || !read_number(text.substr(5, 2), parts.tm_mday) ||
      !read_number(text.substr(12, 4), parts.tm_year) || !read_number(text.substr(17, 2), parts.tm_hour) ||
      !read_number(text.substr(20, 2), parts.tm_min) || !read_number(text.substr(23, 2), parts.tm_sec)) {
    return std::nullopt;
  }
  if (parts.tm_mday < 1 || parts.tm_mday > 31 || parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60) {
    return std::nullopt;
  }
  parts.tm_mon = static_cast<int>(month - kMonths.begin());
  parts.tm_year -= 1900;
  return timegm(&parts);
}

}  // namespace pronghorn::worker
