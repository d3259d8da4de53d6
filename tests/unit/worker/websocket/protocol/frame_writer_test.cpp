#include "worker/websocket/protocol/frame_writer.h"

#include <malloc.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "framing/websocket_cases.h"
#include "support/catch.h"
#include "unit/worker/websocket/protocol/read_frames.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::DeflateTerms;
using worker::FrameRules;
using worker::FrameWriter;
using worker::WebSocketRole;

namespace {

using Items = std::vector<std::string>;

constexpr FrameRules kClient{.role = WebSocketRole::client, .deflate = true};

std::string written(const std::function<void(FrameWriter&, std::string&)>& write) {
  FrameWriter writer;
  std::string out;
  write(writer, out);
  return out;
}

std::string close_frame(int code, std::string_view reason) {
  return written([&](FrameWriter& writer, std::string& out) { writer.close(out, code, reason); });
}

}  // namespace

TEST_CASE("a server's frames have the shortest head and no mask", "[websocket][frames]") {
  for (const std::size_t size : {0, 1, 125, 126, 65535, 65536}) {
    const std::string payload(size, 'a');
    CHECK((written([&](auto& writer, auto& out) { writer.text(out, payload); }) ==
           raw_frame(1, payload, {.masked = false})));
    CHECK((written([&](auto& writer, auto& out) { writer.binary(out, payload); }) ==
           raw_frame(2, payload, {.masked = false})));
  }
  CHECK((written([](auto& writer, auto& out) { writer.ping(out, "p"); }) == raw_frame(9, "p", {.masked = false})));
  CHECK((written([](auto& writer, auto& out) { writer.pong(out, "p"); }) == raw_frame(10, "p", {.masked = false})));
}

TEST_CASE("frames are appended", "[websocket][frames]") {
  const std::string out = written([](auto& writer, auto& frames) {
    writer.ping(frames, "1");
    writer.text(frames, "two");
    writer.close(frames, 1001, "bye");
  });
  CHECK((read_frames(out, kClient) == Items{"ping 1", "text two", "close 1001 bye"}));
}

TEST_CASE("a client's frames are masked with a new key each", "[websocket][frames]") {
  FrameWriter writer(WebSocketRole::client);
  std::string first;
  std::string second;
  writer.text(first, std::string(5000, 'a'));
  writer.text(second, std::string(5000, 'a'));
  CHECK((first != second));
  CHECK((read_frames(first + second) == Items(2, "text " + std::string(5000, 'a'))));
}

TEST_CASE("a close frame has its code and its reason", "[websocket][frames]") {
  CHECK((close_frame(1000, "") == std::string("\x88\x02\x03\xe8", 4)));
  CHECK((close_frame(pronghorn::kCloseNoCode, "ignored") == std::string("\x88\x00", 2)));
  CHECK((read_frames(close_frame(4999, "gr\xc3\xbc\xc3\x9f"), kClient) == Items{"close 4999 gr\xc3\xbc\xc3\x9f"}));
}

TEST_CASE("the reason of a close frame is cut between characters", "[websocket][frames]") {
  CHECK(
      (read_frames(close_frame(1000, std::string(200, 'a')), kClient) == Items{"close 1000 " + std::string(123, 'a')}));
  const std::string long_reason = std::string(122, 'a') + "\xc3\xbc";
  CHECK((read_frames(close_frame(1000, long_reason), kClient) == Items{"close 1000 " + std::string(122, 'a')}));
  CHECK((read_frames(close_frame(1000, "ok\xff no"), kClient) == Items{"close 1000 ok"}));
}

TEST_CASE("codes that must not be sent and control frames that are too long are refused", "[websocket][frames]") {
  for (const int code : {0, 999, 1004, 1006, 1015, 2999, 5000, -1})
    CHECK_THROWS_AS(close_frame(code, ""), std::invalid_argument);
  FrameWriter writer;
  std::string out;
  CHECK_THROWS_AS(writer.ping(out, std::string(126, 'a')), std::invalid_argument);
  CHECK(out.empty());
}

TEST_CASE("a writer does not keep the memory of a large message", "[websocket][frames][deflate]") {
  FrameWriter writer;
  const auto allocated = [] {
    const struct mallinfo2 memory = ::mallinfo2();
    return memory.uordblks + memory.hblkhd;
  };
  {
    std::string out;
    writer.text(out, std::string(1000, 'a'), DeflateTerms{});
  }
  const std::size_t before = allocated();
  {
    std::string out;
    writer.text(out, std::string(1 << 20, 'a'), DeflateTerms{});
  }
  CHECK(allocated() < before + (128 << 10));
}

TEST_CASE("messages are compressed if that makes them smaller", "[websocket][frames][deflate]") {
  const auto text = [](std::string_view payload) {
    return written([&](auto& writer, auto& out) { writer.text(out, payload, DeflateTerms{}); });
  };
  const std::string large(10000, 'a');
  CHECK(text(large).size() < 100);
  CHECK((static_cast<unsigned char>(text(large)[0]) == 0xc1));
  CHECK((read_frames(text(large), kClient) == Items{"text " + large}));
  const std::string small(63, 'a');
  CHECK((text(small) == raw_frame(1, small, {.masked = false})));
  std::string noise;  // bytes that do not repeat
  for (unsigned i = 0, state = 1; i < 1000; ++i)
    noise += static_cast<char>((state = state * 1664525U + 1013904223U) >> 24);
  CHECK((text(noise) == raw_frame(1, noise, {.masked = false})));
}
