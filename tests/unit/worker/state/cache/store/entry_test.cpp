#include "worker/state/cache/store/entry.h"

#include "support/catch.h"

using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

Entry example() {
  return {.id = "0123456789abcdef",
          .missing = false,
          .lifetime = 90s,
          .stale = 30s,
          .tags = {{"app:c:t:a", "versionversion-1"}, {std::string(300, 't'), std::string(16, '\0')}},
          .value = std::string("any\0bytes\r\n", 11)};
}

}  // namespace

TEST_CASE("an entry is read as it was written", "[cache]") {
  const Entry written = example();
  const auto read = decode_entry(encode(written));
  REQUIRE(read);
  CHECK(read->id == written.id);
  CHECK_FALSE(read->missing);
  CHECK(read->lifetime == 90s);
  CHECK(read->stale == 30s);
  REQUIRE(read->tags.size() == 2);
  CHECK(read->tags[0].key == "app:c:t:a");
  CHECK(read->tags[0].version == "versionversion-1");
  CHECK(read->tags[1].key == std::string(300, 't'));
  CHECK(read->tags[1].version == std::string(16, '\0'));
  CHECK(read->value == written.value);
  CHECK(entry_prefix(encode(written)).ends_with(written.id));
}

TEST_CASE("a negative entry and an empty value are told apart", "[cache]") {
  Entry entry{.id = std::string(16, 'i')};
  CHECK_FALSE(decode_entry(encode(entry))->missing);
  entry.missing = true;
  CHECK(decode_entry(encode(entry))->missing);
}

TEST_CASE("bytes that are no entry are refused, whatever they are", "[cache]") {
  const std::string whole = encode(example());
  const std::size_t head = whole.size() - example().value.size();
  for (std::size_t size = 0; size < head; ++size) CHECK_FALSE(decode_entry(whole.substr(0, size)));
  CHECK(decode_entry(whole.substr(0, head)));
  CHECK_FALSE(decode_entry("a string of somebody else, which is long enough to be an entry"));
  std::string times = whole;
  times[18] = '\xff';  // a lifetime that no clock can add
  CHECK_FALSE(decode_entry(times));
  std::string tags = whole;
  tags[34] = '\xff';  // more tags than there are
  CHECK_FALSE(decode_entry(tags));
}
