#include "pronghorn/hash.h"

#include "pronghorn/redis.h"
#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("SHA-256 of pieces equals SHA-256 of the whole", "[hash]") {
  Sha256 pieces;
  pieces.update("a");
  pieces.update("");
  pieces.update("bc");
  const std::string expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(pieces.hex() == expected);
  pieces.update("more");
  CHECK(pieces.hex() == expected);
  CHECK(Sha256().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("a script is named by the SHA-1 of its source", "[hash]") {
  CHECK(Script("return 1").sha1() == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}
