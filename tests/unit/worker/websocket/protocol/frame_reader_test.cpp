#include "worker/websocket/protocol/frame_reader.h"

#include <malloc.h>

#include <string>
#include <vector>

#include "framing/websocket_cases.h"
#include "support/catch.h"
#include "unit/worker/websocket/protocol/read_frames.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::FrameItem;
using worker::FrameMemory;
using worker::FrameReader;
using worker::FrameRules;
using worker::FrameStep;

namespace {

using Items = std::vector<std::string>;

constexpr FrameRules kDeflate{.deflate = true};
constexpr FrameRules kSmall{.max_message = 100};
constexpr FrameRules kSmallDeflate{.deflate = true, .max_message = 100};

std::string hello() { return raw_frame(1, "Hello"); }

std::size_t allocated() {
  const struct mallinfo2 memory = ::mallinfo2();
  return memory.uordblks + memory.hblkhd;
}

// How many of the bytes, which arrive one by one, a reader needs to fail. 0: it does not.
std::size_t fails_after(std::string_view bytes, FrameRules rules = {}) {
  FrameMemory memory;
  FrameReader reader(memory, rules);
  Items items;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    read_piece(reader, bytes.substr(i, 1), items);
    if (!items.empty() && items.back().starts_with("failure")) return i + 1;
  }
  return 0;
}

}  // namespace

TEST_CASE("every case of the table is read as the RFC says, in one piece and byte by byte", "[websocket][frames]") {
  for (const WebSocketCase& test : all_websocket_cases()) {
    INFO(test.name);
    REQUIRE((read_frames(test.bytes) == test.items));
    REQUIRE((read_frames(test.bytes, {}, 1) == test.items));
  }
}

TEST_CASE("every case of the table is read the same wherever it is cut", "[websocket][frames]") {
  for (const WebSocketCase& test : all_websocket_cases()) {
    if (test.bytes.size() > 1000) continue;
    for (std::size_t cut = 1; cut < test.bytes.size(); ++cut) {
      FrameMemory memory;
      FrameReader reader(memory);
      Items items;
      read_piece(reader, std::string_view(test.bytes).substr(0, cut), items);
      read_piece(reader, std::string_view(test.bytes).substr(cut), items);
      INFO(test.name << ", cut after " << cut);
      REQUIRE((items == test.items));
    }
  }
}

TEST_CASE("a failure is known as soon as the byte has arrived that causes it", "[websocket][frames]") {
  for (const WebSocketCase& test : all_websocket_cases()) {
    if (test.known_after == 0) continue;
    INFO(test.name);
    CHECK(fails_after(test.bytes) == test.known_after);
  }
}

TEST_CASE("large messages are read in pieces and fragments of every size", "[websocket][frames]") {
  constexpr FrameRules kLarge{.max_message = 4 << 20};
  const std::string payload = [] {
    std::string text;
    while (text.size() < (1 << 20)) text += "BAsd7&jh23";
    return text;
  }();
  for (const std::size_t piece : {64, 128, 256, 512, 1024, 2048}) {
    CHECK((read_frames(raw_frame(1, payload), kLarge, piece) == Items{"text " + payload}));
  }
  for (const std::size_t fragment : {64, 256, 1024, 4096, 16384, 65536, 262144}) {
    CHECK((read_frames(raw_fragments(2, payload, fragment), kLarge) == Items{"binary " + payload}));
  }
}

TEST_CASE("messages of many sizes come one after the other", "[websocket][frames]") {
  FrameMemory memory;
  FrameReader reader(memory);
  for (int i = 0; i < 100; ++i) {
    for (const std::size_t size : {0, 16, 64, 256, 1024, 4096, 4100, 20000}) {
      const std::string payload(size, static_cast<char>('a' + i % 26));
      Items items;
      read_piece(reader, raw_frame(1, payload), items);
      REQUIRE((items == Items{"text " + payload}));
    }
  }
}

TEST_CASE("a step ends with its item, so the bytes after it are not consumed", "[websocket][frames]") {
  FrameMemory memory;
  FrameReader reader(memory);
  const std::string bytes = hello() + raw_frame(9, "p") + raw_frame(1, "rest");
  FrameStep step = reader.next(bytes);
  CHECK(describe(step) == "text Hello");
  CHECK(step.consumed == 11);
  step = reader.next(bytes.substr(11));
  CHECK(describe(step) == "ping p");
  CHECK(step.consumed == 7);
}

TEST_CASE("fragments that are empty or small are counted, unless they end their message", "[websocket][frames]") {
  FrameMemory memory;
  FrameReader reader(memory);
  const auto counts = [&reader](const std::string& bytes) {
    const FrameStep step = reader.next(bytes);
    return std::pair(step.empty_fragments, step.small_fragments);
  };
  using Counts = std::pair<std::uint32_t, std::uint32_t>;
  CHECK(counts(raw_fragments(1, "fragments", 1)) == Counts(0, 8));
  CHECK(counts(raw_fragments(1, std::string(3000, 'a'), worker::kSmallFragment)) == Counts(0, 0));
  CHECK(counts(raw_frame(1, "", {.final = false}) + raw_frame(0, "", {.final = false})) == Counts(2, 0));
  CHECK(counts(raw_frame(9, "")) == Counts(0, 0));
  CHECK(counts(raw_frame(0, "a", {.final = false}) + raw_frame(0, "")) == Counts(0, 1));
  CHECK(counts(raw_frame(1, "")) == Counts(0, 0));
}

TEST_CASE("a message has begun from its first byte to its last", "[websocket][frames]") {
  FrameMemory memory;
  FrameReader reader(memory);
  CHECK_FALSE(reader.in_message());
  const std::string bytes = raw_frame(1, "ab", {.final = false}) + raw_frame(9, "p") + raw_frame(0, "c");
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
    const FrameStep step = reader.next({bytes.data() + i, 1});
    INFO(i);
    CHECK((step.item == FrameItem::none || step.item == FrameItem::ping));
    CHECK(reader.in_message());
  }
  CHECK(describe(reader.next({&bytes.back(), 1})) == "text abc");
  CHECK_FALSE(reader.in_message());
}

TEST_CASE("a reader between two messages is small and has no memory of its own", "[websocket][frames]") {
  STATIC_REQUIRE(sizeof(FrameReader) <= 64);
  constexpr std::size_t kReaders = 1000;
  FrameMemory memory;
  std::vector<FrameReader> readers;
  for (std::size_t i = 0; i < kReaders; ++i) readers.emplace_back(memory);
  const std::string bytes = raw_fragments(1, std::string(5000, 'a'), 1000);
  const std::size_t before = allocated();
  for (FrameReader& reader : readers) {
    Items items;
    read_piece(reader, bytes, items);
  }
  CHECK(allocated() < before + kReaders * 64);
}

TEST_CASE("what a large message needs is freed after it", "[websocket][frames]") {
  FrameMemory memory;
  FrameReader reader(memory, kDeflate);
  worker::Deflater deflater;
  std::string payload;
  deflater.deflate(std::string(1 << 20, 'a'), {}, payload);
  const std::string bytes =
      raw_fragments(1, std::string(1 << 20, 'a'), 100000) + raw_frame(1, payload, {.reserved = 4});
  const std::size_t before = allocated();
  {
    Items items;
    read_piece(reader, bytes, items);
    REQUIRE(items.size() == 2);
  }
  CHECK(allocated() < before + (128 << 10));
}

TEST_CASE("readers share the memory that incomplete messages need", "[websocket][frames]") {
  FrameMemory memory;
  FrameReader first(memory);
  FrameReader second(memory);
  Items items;
  read_piece(first, hello(), items);
  const std::string half = raw_frame(1, "second", {.final = false});
  read_piece(second, half, items);
  read_piece(first, hello(), items);
  read_piece(second, raw_frame(0, "!"), items);
  CHECK((items == Items{"text Hello", "text Hello", "text second!"}));
}

TEST_CASE("what a message returned stays until the next call", "[websocket][frames]") {
  FrameMemory memory;
  FrameReader reader(memory);
  const FrameStep step = reader.next(hello());
  FrameReader other(memory);
  Items items;
  read_piece(other, raw_frame(1, "Other"), items);
  CHECK(step.payload == "Hello");
}

TEST_CASE("after a close and after a failure everything is ignored", "[websocket][frames]") {
  for (const std::string& last : {raw_close(1000), raw_frame(3, "")}) {
    FrameMemory memory;
    FrameReader reader(memory);
    static_cast<void>(reader.next(last));
    CHECK(reader.ended());
    CHECK_FALSE(reader.in_message());
    const std::string more = hello() + hello();
    const FrameStep step = reader.next(more);
    CHECK(step.item == FrameItem::none);
    CHECK(step.consumed == more.size());
  }
}

TEST_CASE("a message may be as large as the limit and no larger", "[websocket][frames]") {
  const std::string most(100, 'a');
  CHECK((read_frames(raw_frame(1, most), kSmall) == Items{"text " + most}));
  CHECK((read_frames(raw_fragments(1, most, 30), kSmall) == Items{"text " + most}));
  CHECK((read_frames(raw_frame(1, most + "a"), kSmall) == Items{"failure 1009"}));
  CHECK((read_frames(raw_fragments(1, most + "a", 30), kSmall) == Items{"failure 1009"}));
}

TEST_CASE("a frame that is too large is refused when its head has come", "[websocket][frames]") {
  CHECK(fails_after(raw_frame(1, std::string(101, 'a')), kSmall) == 6);
  CHECK(fails_after(raw_frame(2, std::string(200, 'a')), kSmall) == 8);
  CHECK(fails_after(raw_frame(2, std::string(70000, 'a')), kSmall) == 14);
}

TEST_CASE("a client reads frames that are not masked, and no others", "[websocket][frames]") {
  constexpr FrameRules kClient{.role = worker::WebSocketRole::client};
  CHECK((read_frames(raw_frame(1, "Hello", {.masked = false}), kClient) == Items{"text Hello"}));
  CHECK((read_frames(raw_frame(1, std::string(70000, 'a'), {.masked = false}), kClient, 1000) ==
         Items{"text " + std::string(70000, 'a')}));
  CHECK((read_frames(hello(), kClient) == Items{"failure 1002"}));
}

TEST_CASE("compressed messages are read, in one frame and in fragments", "[websocket][frames][deflate]") {
  // RFC 7692 section 7.2.3: examples of "Hello", and of a message in two blocks.
  const std::string compressed("\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
  const std::string stored("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11);
  const std::string final_block("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8);
  const std::string two_blocks("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13);
  const std::string only_final("\xf3\x48\xcd\xc9\xc9\x07\x00", 7);
  for (const std::string& payload : {compressed, stored, final_block, two_blocks, only_final}) {
    CHECK((read_frames(raw_frame(1, payload, {.reserved = 4}), kDeflate) == Items{"text Hello"}));
    for (std::size_t size = 1; size < payload.size(); ++size) {
      CHECK((read_frames(raw_fragments(1, payload, size, 4), kDeflate) == Items{"text Hello"}));
    }
  }
  CHECK((read_frames(raw_frame(1, std::string(1, '\0'), {.reserved = 4}), kDeflate) == Items{"text "}));
  CHECK((read_frames(hello(), kDeflate) == Items{"text Hello"}));
}

// Sections 12 and 13 of the Autobahn suite.
TEST_CASE("compressed messages of many sizes are read in fragments of many sizes", "[websocket][frames][deflate]") {
  worker::Deflater deflater;
  FrameMemory memory;
  FrameReader reader(memory, kDeflate);
  for (const std::size_t size : {16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072}) {
    std::string text;
    for (unsigned i = 0; text.size() < size; ++i) text += "{\"id\":" + std::to_string(i * 7919 % 1000) + "},";
    std::string payload;
    deflater.deflate(text, {}, payload);
    for (const std::size_t fragment : {64, 256, 1024, 4096, 32768}) {
      Items items;
      read_piece(reader, raw_fragments(1, payload, fragment, 4), items);
      REQUIRE((items == Items{"text " + text}));
    }
  }
}

TEST_CASE("only the first frame of a message may say that it is compressed", "[websocket][frames][deflate]") {
  const std::string first = raw_frame(1, "\xf2\x48\xcd", {.final = false, .reserved = 4});
  CHECK((read_frames(first + raw_frame(0, "\xc9", {.reserved = 4}), kDeflate) == Items{"failure 1002"}));
  CHECK((read_frames(raw_frame(9, "", {.reserved = 4}), kDeflate) == Items{"failure 1002"}));
  CHECK((read_frames(raw_frame(8, "", {.reserved = 4}), kDeflate) == Items{"failure 1002"}));
  CHECK((read_frames(raw_frame(1, "a", {.reserved = 5}), kDeflate) == Items{"failure 1002"}));
  CHECK((read_frames(raw_frame(1, "a", {.reserved = 2}), kDeflate) == Items{"failure 1002"}));
}

TEST_CASE("a compressed message is not taken for the next one", "[websocket][frames][deflate]") {
  const std::string compressed = raw_frame(1, std::string("\xf2\x48\xcd\xc9\xc9\x07\x00", 7), {.reserved = 4});
  const std::string bytes = compressed + raw_frame(1, "plain") + compressed + raw_fragments(2, "plain", 2);
  CHECK((read_frames(bytes, kDeflate) == Items{"text Hello", "text plain", "text Hello", "binary plain"}));
}

TEST_CASE("compressed data that are invalid or cut are refused", "[websocket][frames][deflate]") {
  const auto read = [](std::string_view payload) {
    return read_frames(raw_frame(1, payload, {.reserved = 4}), kDeflate);
  };
  CHECK((read("\xff\xff\xff\xff") == Items{"failure 1007"}));  // no such kind of block
  CHECK((read("Hello, world!") == Items{"failure 1007"}));
  CHECK((read("\xf2\x48\xcd\xc9") == Items{"failure 1007"}));                                   // cut within a block
  CHECK((read(std::string_view("\x00\x05\x00\xfa\xff\x48\x65", 7)) == Items{"failure 1007"}));  // cut, stored
}

TEST_CASE("compressed texts must be UTF-8 too", "[websocket][frames][deflate]") {
  const std::string stored("\x00\x01\x00\xfe\xff\xff\x00", 7);  // the byte 0xff
  CHECK((read_frames(raw_frame(1, stored, {.reserved = 4}), kDeflate) == Items{"failure 1007"}));
  CHECK((read_frames(raw_frame(2, stored, {.reserved = 4}), kDeflate) == Items{"binary \xff"}));
}

TEST_CASE("a compression bomb ends at the limit", "[websocket][frames][deflate]") {
  worker::Deflater deflater;
  std::string bomb;
  deflater.deflate(std::string(10 << 20, 'a'), {}, bomb);
  CHECK(bomb.size() < 20000);
  CHECK((read_frames(raw_frame(1, bomb, {.reserved = 4}), kDeflate) == Items{"failure 1009"}));
  std::string most;
  deflater.deflate(std::string(100, 'a'), {}, most);
  CHECK((read_frames(raw_frame(1, most, {.reserved = 4}), kSmallDeflate) == Items{"text " + std::string(100, 'a')}));
  std::string more;
  deflater.deflate(std::string(101, 'a'), {}, more);
  CHECK((read_frames(raw_frame(1, more, {.reserved = 4}), kSmallDeflate) == Items{"failure 1009"}));
}

TEST_CASE("a message that does not become smaller may be as large as the limit, too", "[websocket][frames][deflate]") {
  const std::string text(100, 'a');
  const std::string stored = std::string("\x00\x64\x00\x9b\xff", 5) + text + std::string(1, '\0');
  CHECK((read_frames(raw_frame(1, stored, {.reserved = 4}), kSmallDeflate) == Items{"text " + text}));
}

TEST_CASE("compressed data that do not end up as a message have a limit too", "[websocket][frames][deflate]") {
  std::string empty_blocks;
  while (empty_blocks.size() < 1000) empty_blocks.append("\x00\x00\x00\xff\xff", 5);
  CHECK((read_frames(raw_frame(1, empty_blocks, {.reserved = 4}), kSmallDeflate) == Items{"failure 1009"}));
}
