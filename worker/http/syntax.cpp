#include "worker/http/syntax.h"

namespace pronghorn::worker {
namespace {

bool is_port(std::string_view text) noexcept {
  if (text.size() > 5) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

}  // namespace

bool is_host(std::string_view text) noexcept {
  using syntax_detail::kClasses;
  if (text.empty()) return true;
  if (text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || close < 3) return false;
    for (const char c : text.substr(1, close - 1)) {
      if (hex_digit(c) < 0 && c != ':' && c != '.') return false;
    }
    const std::string_view rest = text.substr(close + 1);
    return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
  }
  std::size_t end = 0;
  while (end < text.size() && (kClasses[static_cast<unsigned char>(text[end])] & syntax_detail::kHost) != 0) ++end;
  if (end == text.size()) return true;
  return end > 0 && text[end] == ':' && is_port(text.substr(end + 1));
}

bool percent_decode(std::string_view text, std::string& decoded, bool plus_is_space) {
  decoded.clear();
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
    } else if (text[i] == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return true;
}

}  // namespace pronghorn::worker
