#include "worker/tokens/token_memory.h"

#include <string>
#include <utility>

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

VerifiedToken token_of(const std::string& id, std::size_t claims = 2) {
  VerifiedToken token;
  token.id = id;
  token.claims = std::string(claims, 'c');
  return token;
}

}  // namespace

TEST_CASE("a token is remembered until it expires", "[token]") {
  TokenMemory memory;
  const auto digest = memory.digest("text");
  CHECK(memory.find(digest, 0) == nullptr);
  memory.remember(digest, token_of("a"), 100);
  REQUIRE(memory.find(digest, 99) != nullptr);
  CHECK(memory.find(digest, 99)->token.id == "a");
  CHECK(memory.find(memory.digest("other"), 99) == nullptr);
  CHECK(memory.find(digest, 100) == nullptr);
  CHECK(memory.size() == 0);
  memory.remember(digest, token_of("a"), 100);
  memory.clear();
  CHECK(memory.find(digest, 0) == nullptr);
}

TEST_CASE("of too many tokens those not used for longest are forgotten", "[token]") {
  TokenMemory memory;
  for (std::size_t i = 0; i < TokenMemory::kMaxTokens; ++i) {
    memory.remember(memory.digest(std::to_string(i)), token_of(std::to_string(i)), 100);
  }
  CHECK(memory.size() == TokenMemory::kMaxTokens);
  CHECK(memory.find(memory.digest("0"), 0) != nullptr);
  memory.remember(memory.digest("new"), token_of("new"), 100);
  CHECK(memory.size() == TokenMemory::kMaxTokens);
  CHECK(memory.find(memory.digest("0"), 0) != nullptr);
  CHECK(memory.find(memory.digest("1"), 0) == nullptr);
  CHECK(memory.find(memory.digest("new"), 0) != nullptr);
}

TEST_CASE("large tokens take the place of many small ones", "[token]") {
  TokenMemory memory;
  for (int i = 0; i < 5000; ++i) memory.remember(memory.digest(std::to_string(i)), token_of("x", 6000), 100);
  CHECK(memory.size() < 1000);
  CHECK(memory.size() > 500);
  CHECK(memory.find(memory.digest("4999"), 0) != nullptr);
}

// "a b c …" of 6 KB is 3,000 scopes, whose texts take 96 KB: what counted as 16 MiB was 90.
TEST_CASE("tokens with many short scopes count as what they take", "[token]") {
  TokenMemory memory;
  for (int i = 0; i < 500; ++i) {
    VerifiedToken token = token_of("x", 6000);
    token.scopes.assign(3000, "a");
    memory.remember(memory.digest(std::to_string(i)), std::move(token), 100);
  }
  CHECK(memory.size() < 200);
  CHECK(memory.find(memory.digest("499"), 0) != nullptr);
}
