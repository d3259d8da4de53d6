// Formats an event as one line of the log, as text or JSON, and escapes whatever could break that line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/log.h"

namespace pronghorn {

struct LogEvent {
  std::string_view time;  // RFC 3339, UTC
  LogLevel level = LogLevel::info;
  std::string_view process;
  int pid = 0;
  std::string_view message;
  const LogField* fields = nullptr;
  std::size_t field_count = 0;
};

// `2026-11-22T04:46:36.123Z info  supervisor[4242] message name=value name="text with blanks"` and a newline. Line
// ends, control characters and bytes that are not UTF-8 become \n, \x1b, \u202e, \xff. `colour` adds escape sequences
// around the level.
[[nodiscard]] std::string log_line_text(const LogEvent& event, bool colour);

// {"time","level","process","pid","message",...fields} and a newline. A field named like one of the first five
// gets a trailing "_". A byte that is not UTF-8 becomes the four characters \xff.
[[nodiscard]] std::string log_line_json(const LogEvent& event);

[[nodiscard]] std::string_view to_string(LogLevel level) noexcept;  // as in the option log_level

// "2026-11-22T04:46:36.123Z", or without the fraction if `milliseconds` is negative.
[[nodiscard]] std::string rfc3339(long long seconds_since_1970, int milliseconds = -1);

}  // namespace pronghorn
