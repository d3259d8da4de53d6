#include "worker/http/head/response_date.h"

#include <cstring>

namespace pronghorn::worker {

// IMF-fixdate (RFC 9110 section 5.6.7). Not strftime(), which depends on the locale.
void ResponseDate::format(std::time_t now) noexcept {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char* out = text_.data();
  const auto put = [&out](std::string_view part) {
    std::memcpy(out, part.data(), part.size());
    out += part.size();
  };
  const auto put_number = [&out](int number, int digits) {
    for (int i = digits - 1; i >= 0; --i, number /= 10) out[i] = static_cast<char>('0' + number % 10);
    out += digits;
  };
  put("HTTP/1.1 200 OK\r\nDate: ");
  put(kDays[utc.tm_wday]);
  put(", ");
  put_number(utc.tm_mday, 2);
  put(" ");
  put(kMonths[utc.tm_mon]);
  put(" ");
  put_number(utc.tm_year + 1900, 4);
  put(" ");
  put_number(utc.tm_hour, 2);
  put(":");
  put_number(utc.tm_min, 2);
  put(":");
  put_number(utc.tm_sec, 2);
  put(" GMT\r\nServer: pronghorn\r\n");
}

}  // namespace pronghorn::worker
