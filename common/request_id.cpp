#include "common/request_id.h"

namespace pronghorn {

void write_request_id(const RequestId& id, char (&text)[24]) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  std::uint64_t worker = id.worker;
  for (int i = 15; i >= 0; --i, worker >>= 4) text[i] = kDigits[worker & 15];
  std::uint32_t number = id.number;
  for (int i = 23; i >= 16; --i, number >>= 4) text[i] = kDigits[number & 15];
}

std::string to_string(const RequestId& id) {
  char text[24];
  write_request_id(id, text);
  return {text, sizeof text};
}

}  // namespace pronghorn
