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

  // "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
  [[nodiscard]] std::string_view field() const noexcept { return {text_.data(), size_}; }
  // "Sun, 06 Nov 1994 08:49:37 GMT"
  [[nodiscard]] std::string_view value() const noexcept { return field().substr(6, size_ - 8); }

  void format(std::time_t now) noexcept;

 private:
  std::array<char, 40> text_{};
  std::size_t size_ = 0;
};

// That of this thread's responses.
[[nodiscard]] inline ResponseDate& response_date() noexcept {
  static ResponseDate date;
  return date;
}

// Formats it for the responses to come. The server calls it at each tick.
inline void refresh_response_date() noexcept { response_date().format(std::time(nullptr)); }

}  // namespace pronghorn::worker
