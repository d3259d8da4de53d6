#include "worker/state/cache/local/local_copies.h"

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

class Copies : public LocalCopies {
 public:
  using LocalCopies::LocalCopies;
  void put(const std::string& name, std::string value = "v", std::vector<std::string> tags = {}) {
    const auto slot = expect("key:" + name);
    std::vector<std::shared_ptr<Slot>> slots;
    for (const std::string& tag : tags) slots.push_back(expect("tag:" + tag));
    keep(slot, {.name = name, .value = std::move(value), .until_ms = 100, .tags = std::move(slots)});
  }
  bool has(const std::string& name, std::uint64_t now_ms = 0) { return find(name, now_ms) != nullptr; }
};

}  // namespace

TEST_CASE("a copy is found until it is no longer fresh", "[cache]") {
  Copies copies(10'000);
  copies.put("a", "value");
  REQUIRE(copies.has("a", 99));
  CHECK(copies.find("a", 99)->value == "value");
  CHECK_FALSE(copies.has("b"));
  CHECK_FALSE(copies.has("a", 100));
  CHECK(copies.bytes() == 0);
  CHECK(copies.slots() == 0);
}

TEST_CASE("a change drops the copy, and one while it is read prevents it", "[cache]") {
  Copies copies(10'000);
  copies.put("a");
  copies.changed("key:a");
  CHECK_FALSE(copies.has("a"));
  const auto slot = copies.expect("key:a");
  copies.changed("key:a");
  copies.keep(slot, {.name = "a", .value = "old", .until_ms = 100, .tags = {}});
  CHECK_FALSE(copies.has("a"));
  copies.put("a", "new");
  CHECK(copies.find("a", 0)->value == "new");
}

TEST_CASE("a change of a tag drops what carries it", "[cache]") {
  Copies copies(10'000);
  copies.put("a", "v", {"red", "blue"});
  copies.put("b", "v", {"red"});
  copies.put("c", "v", {"blue"});
  copies.changed("tag:red");
  CHECK_FALSE(copies.has("a"));
  CHECK_FALSE(copies.has("b"));
  CHECK(copies.has("c"));
  copies.put("a", "v", {"red", "blue"});
  CHECK(copies.has("a"));
  const auto slot = copies.expect("key:d");
  const auto tag = copies.expect("tag:red");
  copies.changed("tag:red");
  copies.keep(slot, {.name = "d", .value = "old", .until_ms = 100, .tags = {tag}});
  CHECK_FALSE(copies.has("d"));
}

TEST_CASE("the least recently used copies make room for new ones", "[cache]") {
  Copies copies(5'000);
  for (const char* name : {"a", "b", "c"}) copies.put(name, std::string(1'000, 'x'), {"t"});
  CHECK(copies.has("a"));
  copies.put("d", std::string(1'000, 'x'));
  CHECK(copies.bytes() <= 5'000);
  CHECK(copies.has("a"));
  CHECK_FALSE(copies.has("b"));
  CHECK(copies.has("d"));
  copies.put("large", std::string(5'000, 'x'));
  CHECK_FALSE(copies.has("large"));
  CHECK(copies.has("d"));
}

TEST_CASE("nothing is left of copies and reads that have ended", "[cache]") {
  Copies copies(10'000);
  copies.put("a", "v", {"t", "u"});
  copies.put("a", "again", {"t"});
  CHECK(copies.find("a", 0)->value == "again");
  CHECK(copies.slots() == 2);
  copies.changed("key:a");
  CHECK(copies.slots() == 0);
  CHECK(copies.bytes() == 0);
  copies.give_up(copies.expect("key:b"));
  CHECK(copies.slots() == 0);
  copies.put("a", "v", {"t"});
  copies.lost(0);
  CHECK(copies.slots() == 0);
  CHECK(copies.bytes() == 0);
  CHECK_FALSE(copies.has("a"));
}

TEST_CASE("a connection that is lost drops what its server told of, and what is being read", "[cache]") {
  Copies copies(10'000);
  const auto read_over = [&copies](const std::string& name, std::uint64_t connection) {
    const auto slot = copies.expect("key:" + name);
    REQUIRE(copies.watched(slot, connection));
    copies.keep(slot, {.name = name, .value = "v", .until_ms = 100, .tags = {}});
  };
  read_over("a", 1);
  read_over("b", 2);
  const auto being_read = copies.expect("key:c");
  copies.lost(1);
  CHECK_FALSE(copies.has("a"));
  CHECK(copies.has("b"));
  CHECK_FALSE(copies.watched(being_read, 2));
  CHECK(copies.slots() == 1);
}

TEST_CASE("a tag that another server tells of than before drops what carries it", "[cache]") {
  Copies copies(10'000);
  const auto slot = copies.expect("key:a"), tag = copies.expect("tag:t");
  REQUIRE(copies.watched(slot, 1));
  REQUIRE(copies.watched(tag, 2));
  copies.keep(slot, {.name = "a", .value = "v", .until_ms = 100, .tags = {tag}});
  REQUIRE(copies.has("a"));
  CHECK_FALSE(copies.watched(copies.expect("tag:t"), 3));
  CHECK_FALSE(copies.has("a"));
}
