#include "worker/state/quarantine/path_shape.h"

#include <algorithm>

#include "worker/fields/characters.h"
#include "worker/fields/percent_encoding.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kShortestHex = 16;
constexpr std::size_t kShortestToken = 12;  // letters of both cases and digits in a row

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }

bool is_uuid(std::string_view text) noexcept {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen ? text[i] != '-' : hex_digit(text[i]) < 0) return false;
  }
  return true;
}

bool is_hex(std::string_view text) noexcept {
  return text.size() >= kShortestHex && std::ranges::all_of(text, [](char c) { return hex_digit(c) >= 0; }) &&
         !std::ranges::all_of(text, is_digit);
}

// Looks like base64 or base62: words that people write do not mix both cases and digits for that long.
bool is_token(std::string_view text) noexcept {
  std::size_t length = 0;
  bool digit = false;
  bool upper = false;
  bool lower = false;
  for (const char c : text) {
    if (!is_digit(c) && !is_upper(c) && !is_lower(c)) {
      length = 0;
      digit = upper = lower = false;
      continue;
    }
    ++length;
    digit = digit || is_digit(c);
    upper = upper || is_upper(c);
    lower = lower || is_lower(c);
    if (length >= kShortestToken && digit && upper && lower) return true;
  }
  return false;
}

void append_visible(std::string& out, char c) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  if (byte > ' ' && byte < 0x7f) {
    out += c;
  } else {
    out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
  }
}

void append_shape(std::string& out, std::string_view segment) {
  if (is_uuid(segment)) {
    out += "{uuid}";
  } else if (is_hex(segment)) {
    out += "{hex}";
  } else if (is_token(segment)) {
    out += "{token}";
  } else {
    for (std::size_t i = 0; i < segment.size(); ++i) {
      if (is_digit(segment[i])) {
        if (i == 0 || !is_digit(segment[i - 1])) out += 'N';
      } else if (segment[i] == '/') {
        out += "%2F";
      } else {
        append_visible(out, segment[i]);
      }
    }
  }
}

}  // namespace

std::string path_shape(std::string_view path) {
  std::string shape;
  std::string decoded;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view segment = path.substr(begin, end - begin);
    decoded.clear();
    append_shape(shape, percent_decode(segment, decoded, false) ? std::string_view(decoded) : segment);
    if (end < path.size()) shape += '/';
    begin = end + 1;
  }
  return shape;
}

std::string visible(std::string_view text, std::size_t most) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= most) break;
    append_visible(out, c);
  }
  if (out.size() > most) out.resize(most);
  return out;
}

}  // namespace pronghorn::worker
