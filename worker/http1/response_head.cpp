#include "worker/http1/response_head.h"

#include <time.h>

#include <array>
#include <charconv>
#include <cstring>

#include "worker/http/response_access.h"
#include "worker/http/status_text.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kServerField = "Server: pronghorn\r\n";

// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" (RFC 9110 section 5.6.7). Not strftime(), which depends on the locale.
struct DateField {
  std::array<char, 40> text{};
  std::size_t size = 0;

  void format(time_t now) noexcept {
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    tm utc{};
    ::gmtime_r(&now, &utc);
    char* out = text.data();
    const auto put = [&out](std::string_view part) {
      std::memcpy(out, part.data(), part.size());
      out += part.size();
    };
    const auto put_number = [&out](int number, int digits) {
      for (int i = digits - 1; i >= 0; --i, number /= 10) out[i] = static_cast<char>('0' + number % 10);
      out += digits;
    };
    put("Date: ");
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
    put(" GMT\r\n");
    size = static_cast<std::size_t>(out - text.data());
  }
};

DateField& date_field() noexcept {
  static DateField field = [] {
    DateField made;
    made.format(::time(nullptr));
    return made;
  }();
  return field;
}

// Room for everything that the server adds, so that one resize is enough for the whole head.
constexpr std::size_t kOwnFieldsRoom = 560;

class Cursor {
 public:
  explicit Cursor(char* out) noexcept : out_(out) {}
  Cursor& put(std::string_view part) noexcept {
    std::memcpy(out_, part.data(), part.size());
    out_ += part.size();
    return *this;
  }
  Cursor& put_number(std::uint64_t number) noexcept {
    out_ = std::to_chars(out_, out_ + 20, number).ptr;
    return *this;
  }
  [[nodiscard]] char* end() const noexcept { return out_; }

 private:
  char* out_;
};

// Returns the end of the head.
char* write_head(char* out, const Response& response, const ResponseFraming& framing, std::string_view fields,
                 std::string_view type) noexcept {
  Cursor cursor(out);
  if (response.status() == 200) {
    cursor.put("HTTP/1.1 200 OK\r\n");
  } else {
    cursor.put("HTTP/1.1 ").put_number(static_cast<std::uint64_t>(response.status())).put(" ");
    cursor.put(status_text(response.status())).put("\r\n");
  }
  // The application may have set its own.
  if (fields.empty() || !response.header("Date")) cursor.put({date_field().text.data(), date_field().size});
  if (fields.empty() || !response.header("Server")) cursor.put(kServerField);
  if (!framing.request_id.empty() && (fields.empty() || !response.header("X-Request-Id"))) {
    cursor.put("X-Request-Id: ").put(framing.request_id).put("\r\n");
  }
  if (!framing.traceparent.empty()) cursor.put("traceparent: ").put(framing.traceparent).put("\r\n");
  if (!type.empty()) cursor.put("Content-Type: ").put(type).put("\r\n");
  if (framing.content_length) cursor.put("Content-Length: ").put_number(*framing.content_length).put("\r\n");
  if (framing.chunked) cursor.put("Transfer-Encoding: chunked\r\n");
  if (framing.close) cursor.put("Connection: close\r\n");
  if (framing.keep_alive_1_0) cursor.put("Connection: keep-alive\r\n");
  cursor.put(fields).put("\r\n");
  return cursor.end();
}

}  // namespace

void refresh_response_date() noexcept { date_field().format(::time(nullptr)); }

void append_response_head(std::string& out, const Response& response, const ResponseFraming& framing) {
  const std::string_view fields = ResponseAccess::fields(response);
  const std::string_view type = response.content_type();
  const std::size_t start = out.size();
  // Not resize(), which would first fill the room with zeros.
  out.resize_and_overwrite(start + kOwnFieldsRoom + fields.size() + type.size(), [&](char* data, std::size_t) {
    return static_cast<std::size_t>(write_head(data + start, response, framing, fields, type) - data);
  });
}

}  // namespace pronghorn::worker
