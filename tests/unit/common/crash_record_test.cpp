#include "common/crash_record.h"

#include <memory>

#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("the log ring gives back its lines in order", "[crash]") {
  const auto ring = std::make_unique<LogRing>();
  CHECK(ring->lines().empty());
  ring->append("one\n");
  ring->append("two\n");
  CHECK(ring->lines() == std::vector<std::string>{"one", "two"});
  ring->clear();
  CHECK(ring->lines().empty());
}

TEST_CASE("the log ring keeps the last whole lines", "[crash]") {
  const auto ring = std::make_unique<LogRing>();
  for (int i = 0; i < 3000; ++i) ring->append("line " + std::to_string(i) + "\n");
  const auto lines = ring->lines();
  REQUIRE(lines.size() > 300);
  CHECK(lines.back() == "line 2999");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    CHECK(lines[i] == "line " + std::to_string(3000 - lines.size() + i));
  }
}

TEST_CASE("a line that is longer than the log ring leaves its end", "[crash]") {
  const auto ring = std::make_unique<LogRing>();
  ring->append(std::string(3 * kLogRingBytes, 'x') + "end");
  CHECK(ring->lines().size() <= 1);
  ring->append("\nnext\n");
  CHECK(ring->lines().back() == "next");
}

TEST_CASE("a text without an end is read no further than its array", "[crash]") {
  char text[4] = {'a', 'b', 'c', 'd'};
  CHECK(text_of(text) == "abcd");
  copy_text(text, "xyz123");
  CHECK(text_of(text) == "xyz");
}
