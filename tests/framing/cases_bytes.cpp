// Bytes that end a line for one parser and not for another (RFC 9112 sections 2.2 and 7.1, RFC 9110 section 5.5), at
// every place of a message.
#include <string_view>
#include <utility>

#include "framing/framing_cases.h"

namespace pronghorn::test {

namespace {

// A message with a line end of every kind, each marked with '|'.
constexpr std::string_view kLines =
    "POST /echo HTTP/1.1|Host: a|Transfer-Encoding: chunked||5;e=f|hello|0|X: a||GET /json HTTP/1.1|Host: a||";
constexpr std::size_t kLineEndsOfFirst = 9;

constexpr const char* kPlaces[kLineEndsOfFirst] = {"the request line", "Host",           "Transfer-Encoding",
                                                   "the head",         "the chunk size", "the chunk",
                                                   "the last size",    "the trailer",    "the message"};

// kLines with CRLF, but `other` at the line end of number `at`.
std::string with_line_end(std::size_t at, std::string_view other) {
  std::string bytes;
  std::size_t number = 0;
  for (const char c : kLines) {
    if (c != '|') {
      bytes += c;
    } else {
      bytes += number++ == at ? other : "\r\n";
    }
  }
  return bytes;
}

std::string control_name(char control) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(control);
  return std::string("0x") + kHex[byte / 16] + kHex[byte % 16];
}

}  // namespace

FramingCases line_end_cases() {
  constexpr std::pair<const char*, const char*> kOthers[] = {{"LF", "\n"},
                                                             {"CR", "\r"},
                                                             {"CR CR LF", "\r\r\n"},
                                                             {"LF CR", "\n\r"},
                                                             {"a vertical tab", "\v"},
                                                             {"U+0085", "\302\205"},
                                                             {"U+2028", "\342\200\250"}};
  FramingCases cases;
  cases.push_back({"CRLF everywhere",
                   with_line_end(std::string_view::npos, ""),
                   {200, 200},
                   After::kept,
                   R"({"message":"Hello, World!"})"});
  for (std::size_t at = 0; at < kLineEndsOfFirst; ++at) {
    for (const auto& [name, bytes] : kOthers) {
      cases.push_back(refused(std::string(name) + " ends " + kPlaces[at], with_line_end(at, bytes)));
    }
  }
  cases.push_back(refused("LF everywhere", "GET /hello HTTP/1.1\nHost: a\n\n"));
  cases.push_back(refused("CR everywhere", "GET /hello HTTP/1.1\rHost: a\r\r"));
  cases.push_back(refused("CR hides a field", get_with("X: b\rContent-Length: 5\r\n")));
  cases.push_back(refused("LF hides a field", get_with("X: b\nContent-Length: 5\r\n")));
  cases.push_back(refused("CR at the end of a value", get_with("X: b\r\r\n")));
  cases.push_back(refused("CR before a colon", get_with("X\r: b\r\n")));
  cases.push_back(refused("CR first in a value", get_with("X:\rb\r\n")));
  cases.push_back(refused("LF before the request", "\n" + get_with("")));
  cases.push_back(refused("CR before the request", "\r" + get_with("")));
  cases.push_back(refused("LF between requests", get_with("") + "\n" + get_with("")));
  cases.back().statuses = {200, 400};
  return cases;
}

FramingCases control_cases() {
  FramingCases cases;
  for (const char control : {'\000', '\001', '\010', '\013', '\014', '\033', '\037', '\177'}) {
    const std::string c(1, control);
    const std::string name = control_name(control);
    cases.push_back(refused(name + " in the method", "G" + c + "T /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    cases.push_back(refused(name + " before the method", c + get_with("")));
    cases.push_back(refused(name + " in the target", get_target("/hel" + c + "lo")));
    cases.push_back(refused(name + " behind the target", get_target("/hello" + c)));
    cases.push_back(refused(name + " behind the version", "GET /hello HTTP/1.1" + c + "\r\nHost: a\r\n\r\n"));
    cases.push_back(refused(name + " in a name", get_with("X" + c + "Y: a\r\n")));
    cases.push_back(refused(name + " before a name", get_with(c + "X: a\r\n")));
    cases.push_back(refused(name + " before a colon", get_with("X" + c + ": a\r\n")));
    cases.push_back(refused(name + " first in a value", get_with("X: " + c + "a\r\n")));
    cases.push_back(refused(name + " in a value", get_with("X: a" + c + "b\r\n")));
    cases.push_back(refused(name + " at the end of a value", get_with("X: a" + c + "\r\n")));
    cases.push_back(refused(name + " in a chunk size", post_chunked("5" + c + "\r\nhello\r\n0\r\n\r\n")));
    cases.push_back(refused(name + " in a chunk extension", post_chunked("5;a" + c + "\r\nhello\r\n0\r\n\r\n")));
    cases.push_back(refused(name + " in a trailer", post_chunked("5\r\nhello\r\n0\r\nX: " + c + "\r\n\r\n")));
  }
  return cases;
}

}  // namespace pronghorn::test
