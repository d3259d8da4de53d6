#include "worker/state/redis/slots/key_slot.h"

#include <string>

#include "support/catch.h"

using pronghorn::worker::key_slot;

// The values are those of CLUSTER KEYSLOT.
TEST_CASE("a key has the slot that Redis gives it", "[redis][cluster]") {
  CHECK(key_slot("123456789") == 12739);  // the check value of the CRC, 0x31c3
  CHECK(key_slot("") == 0);
  CHECK(key_slot("foo") == 12182);
  CHECK(key_slot("bar") == 5061);
  CHECK(key_slot("hello") == 866);
  CHECK(key_slot(std::string_view("\0\xff", 2)) == key_slot(std::string("\0\xff", 2)));
}

TEST_CASE("only the hash tag of a key counts", "[redis][cluster]") {
  CHECK(key_slot("{user:7}:cart") == key_slot("user:7"));
  CHECK(key_slot("app:s:{abc}x{def}") == key_slot("abc"));
  CHECK(key_slot("{user:7}:cart") == key_slot("{user:7}:name"));
  CHECK(key_slot("foo{{bar}}zap") == key_slot("{bar"));
  // Without a byte between the braces, or without a closing one, there is no tag.
  CHECK(key_slot("{}a") != key_slot("{}b"));
  CHECK(key_slot("{a") != key_slot("a"));
  CHECK(key_slot("}a{") != key_slot("a"));
}

// The bytes of a key are looked up eight at a time, and what is left one by one.
TEST_CASE("a key of any length has the slot of its CRC", "[redis][cluster]") {
  std::string key;
  unsigned crc = 0;
  for (unsigned length = 1; length <= 100; ++length) {
    const auto byte = static_cast<unsigned char>(37 * length);
    key += static_cast<char>(byte == '{' ? 'x' : byte);  // no hash tag
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(key.back())) << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000U) != 0 ? ((crc << 1) ^ 0x1021U) & 0xffffU : crc << 1;
    CHECK(key_slot(key) == crc % 16384);
  }
}
