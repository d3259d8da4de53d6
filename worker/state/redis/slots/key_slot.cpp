#include "worker/state/redis/slots/key_slot.h"

#include <array>
#include <cstddef>

namespace pronghorn::worker {
namespace {

// CRC-16/XMODEM: polynomial 0x1021, initial value 0. Table N is for a byte that N more bytes follow, so that the bytes
// of a word are looked up independently of one another.
using CrcTables = std::array<std::array<std::uint16_t, 256>, 8>;
constexpr CrcTables kCrcTables = [] {
  CrcTables tables{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000U) != 0 ? (crc << 1) ^ 0x1021U : crc << 1;
    tables[0][byte] = static_cast<std::uint16_t>(crc);
  }
  for (std::size_t i = 1; i < tables.size(); ++i) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const unsigned crc = tables[i - 1][byte];
      tables[i][byte] = static_cast<std::uint16_t>((crc << 8) ^ tables[0][crc >> 8]);
    }
  }
  return tables;
}();

unsigned crc16(std::string_view text) noexcept {
  unsigned crc = 0;
  const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (; text.size() >= 8; text.remove_prefix(8)) {
    crc = kCrcTables[7][byte(0) ^ (crc >> 8)] ^ kCrcTables[6][byte(1) ^ (crc & 0xffU)] ^ kCrcTables[5][byte(2)] ^
          kCrcTables[4][byte(3)] ^ kCrcTables[3][byte(4)] ^ kCrcTables[2][byte(5)] ^ kCrcTables[1][byte(6)] ^
          kCrcTables[0][byte(7)];
  }
  for (; !text.empty(); text.remove_prefix(1)) crc = ((crc << 8) & 0xffffU) ^ kCrcTables[0][(crc >> 8) ^ byte(0)];
  return crc;
}

}  // namespace

std::uint16_t key_slot(std::string_view key) noexcept {
  if (const std::size_t open = key.find('{'); open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return static_cast<std::uint16_t>(crc16(key) % kSlots);
}

}  // namespace pronghorn::worker
