// The Date field of responses (RFC 9110 section 6.6.1), formatted once a second instead of once a response.
#pragma once

#include <array>
#include <cstddef>
#include <ctime>
#include <string_view>

namespace pronghorn::worker {

// Context: one thread.
class ResponseDate {
 public:
  ResponseDate() noexcept { format(std::time(nullptr)); }

  // How nearly every response of HTTP/1.1 begins: "HTTP/1.1 200 OK\r\n", then the fields Date and Server.
  [[nodiscard]] std::string_view usual_start() const noexcept { return {text_.data(), kStatusLine + kField + kServer}; }
  // "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
  [[nodiscard]] std::string_view field() const noexcept { return {text_.data() + kStatusLine, kField}; }
  // "Sun, 06 Nov 1994 08:49:37 GMT"
  [[nodiscard]] std::string_view value() const noexcept { return field().substr(6, kField - 8); }
  // "Server: pronghorn\r\n"
  [[nodiscard]] std::string_view server_field() const noexcept { return usual_start().substr(kStatusLine + kField); }

  void format(std::time_t now) noexcept;

 private:
  static constexpr std::size_t kStatusLine = 17;  // bytes
  static constexpr std::size_t kField = 37;
  static constexpr std::size_t kServer = 19;
  std::array<char, kStatusLine + kField + kServer> text_{};
};

// That of this thread's responses.
[[nodiscard]] inline ResponseDate& response_date() noexcept {
  static ResponseDate date;
  return date;
}

// Formats it for the responses to come. The server calls it at each tick.
inline void refresh_response_date() noexcept { response_date().format(std::time(nullptr)); }

}  // namespace pronghorn::worker
