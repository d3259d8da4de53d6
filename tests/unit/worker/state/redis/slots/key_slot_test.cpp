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
