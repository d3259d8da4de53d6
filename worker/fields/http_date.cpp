#include "worker/fields/http_date.h"

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

// The year that two digits mean (RFC 9110 section 5.6.7).
int full_year(int two_digits) noexcept {
  const std::time_t now = std::time(nullptr);
  std::tm today{};
  gmtime_r(&now, &today);
  const int this_year = today.tm_year + 1900;
  const int year = this_year / 100 * 100 + two_digits;
  return year > this_year + 50 ? year - 100 : year;
}

std::optional<std::time_t> from_parts(std::string_view day, std::string_view month, std::string_view year,
                                      std::string_view time) noexcept {
  std::tm parts{};
  const auto* const found = std::find(kMonths.begin(), kMonths.end(), month);
  if (found == kMonths.end() || time[2] != ':' || time[5] != ':' || !read_number(day, parts.tm_mday) ||
      !read_number(year, parts.tm_year) || !read_number(time.substr(0, 2), parts.tm_hour) ||
      !read_number(time.substr(3, 2), parts.tm_min) || !read_number(time.substr(6, 2), parts.tm_sec)) {
    return std::nullopt;
  }
  if (parts.tm_mday < 1 || parts.tm_mday > 31 || parts.tm_hour > 23 || parts.tm_min > 59 || parts.tm_sec > 60) {
    return std::nullopt;
  }
  parts.tm_mon = static_cast<int>(found - kMonths.begin());
  parts.tm_year = (year.size() == 2 ? full_year(parts.tm_year) : parts.tm_year) - 1900;
  return timegm(&parts);
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
  if (text.size() == 29 && text.substr(3, 2) == ", " && text[7] == ' ' && text[11] == ' ' && text[16] == ' ' &&
      text.substr(25) == " GMT") {
    return from_parts(text.substr(5, 2), text.substr(8, 3), text.substr(12, 4), text.substr(17, 8));
  }
  // 0   4   8  11       20
  // Sun Nov  6 08:49:37 1994
  if (text.size() == 24 && text[3] == ' ' && text[7] == ' ' && text[10] == ' ' && text[19] == ' ') {
    return from_parts(text.substr(text[8] == ' ' ? 9 : 8, text[8] == ' ' ? 1 : 2), text.substr(4, 3),
                      text.substr(20, 4), text.substr(11, 8));
  }
  // Sunday, 06-Nov-94 08:49:37 GMT
  const std::size_t comma = text.find(',');
  const std::string_view rest = comma < text.size() ? text.substr(comma + 1) : std::string_view{};
  if (rest.size() == 23 && rest[0] == ' ' && rest[3] == '-' && rest[7] == '-' && rest[10] == ' ' &&
      rest.substr(19) == " GMT") {
    return from_parts(rest.substr(1, 2), rest.substr(4, 3), rest.substr(8, 2), rest.substr(11, 8));
  }
  return std::nullopt;
}

}  // namespace pronghorn::worker
