#include "worker/fields/percent_encoding.h"

#include <cstddef>

#include "worker/fields/text.h"

namespace pronghorn::worker {

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
