// The option access_log_format: a named format, or a pattern in the syntax of Apache's LogFormat.
//
//     %h  client's address                 %r  request line              %s  status (also %>s)
//     %t  time, [10/Oct/2026:13:55:36 +0000]  %m  method                 %b  bytes of the response (%B the same)
//     %D  duration in microseconds         %U  path                      %T  duration in seconds
//     %q  query with its "?", or nothing   %H  protocol                  %P  id of the worker process
//     %R  route, such as /users/{id}       %L  id of the request         %l, %u  always "-"
//     %{Name}i  a field of the request, "-" if there is none             %%  a percent sign
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pronghorn {

struct AccessLogPiece {
  char directive = 0;  // 0: `text` is literal
  std::string text;    // of 'i' the name of the field
};

// Throws std::invalid_argument, with one line, for an unknown directive or a format that is neither named nor a
// pattern.
[[nodiscard]] std::vector<AccessLogPiece> parse_access_log_pattern(std::string_view pattern);

// The pattern of the format "combined".
inline constexpr std::string_view kCombinedPattern = R"(%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i")";

}  // namespace pronghorn
