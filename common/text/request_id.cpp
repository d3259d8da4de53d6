#include "common/text/request_id.h"

#include <bit>
#include <cstring>

namespace pronghorn {
namespace {

// Eight hex digits at once, one per byte of a word: every response has an id.
void write_hex(std::uint32_t value, char* out) noexcept {
  std::uint64_t digits = value;
  digits = (digits | (digits << 16)) & 0x0000ffff0000ffff;
  digits = (digits | (digits << 8)) & 0x00ff00ff00ff00ff;
  digits = (digits | (digits << 4)) & 0x0f0f0f0f0f0f0f0f;
  const std::uint64_t letters = ((digits + 0x0606060606060606) >> 4) & 0x0101010101010101;  // 1 where it is 10 to 15
  digits += 0x3030303030303030 + letters * ('a' - '0' - 10);
  if constexpr (std::endian::native == std::endian::little) digits = std::byteswap(digits);
  std::memcpy(out, &digits, sizeof digits);
}

}  // namespace

void write_request_id(const RequestId& id, char (&text)[24]) noexcept {
  write_hex(static_cast<std::uint32_t>(id.worker >> 32), text);
  write_hex(static_cast<std::uint32_t>(id.worker), text + 8);
  write_request_number(id.number, text);
}

void write_request_number(std::uint32_t number, char (&text)[24]) noexcept { write_hex(number, text + 16); }

std::string to_string(const RequestId& id) {
  char text[24];
  write_request_id(id, text);
  return {text, sizeof text};
}

}  // namespace pronghorn
