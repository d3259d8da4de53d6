#include <iterator>

#include "framing/websocket_cases.h"

namespace pronghorn::test {
namespace {

constexpr unsigned kContinuation = 0;
constexpr unsigned kText = 1;
constexpr unsigned kBinary = 2;
constexpr unsigned kClose = 8;
constexpr unsigned kPing = 9;
constexpr unsigned kPong = 10;
constexpr FrameOptions kMore{.final = false};
const std::string kRefused = "failure 1002";

std::string text(std::string_view payload) { return raw_frame(kText, payload); }

std::string start_of(std::string bytes, std::size_t size) { return bytes.substr(0, size); }

}  // namespace

std::string raw_frame(unsigned opcode, std::string_view payload, FrameOptions options) {
  const std::size_t size = payload.size();
  const int shortest = size < 126 ? 0 : size < 65536 ? 2 : 8;
  const int length_bytes = options.length_bytes < 0 ? shortest : options.length_bytes;
  const std::size_t short_length = length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127;
  std::string frame;
  frame += static_cast<char>((options.final ? 128 : 0) | (options.reserved << 4) | opcode);
  frame += static_cast<char>((options.masked ? 128 : 0) | short_length);
  for (int i = length_bytes - 1; i >= 0; --i) frame += static_cast<char>((size >> (8 * i)) & 255);
  constexpr std::string_view kKey = "\x37\xfa\x21\x3d";
  if (!options.masked) return frame.append(payload);
  frame += kKey;
  for (std::size_t i = 0; i < size; ++i) frame += static_cast<char>(payload[i] ^ kKey[i % 4]);
  return frame;
}

std::string raw_fragments(unsigned opcode, std::string_view payload, std::size_t size, unsigned reserved) {
  std::string frames;
  for (bool first = true; first || !payload.empty(); first = false) {
    const std::string_view piece = payload.substr(0, size);
    payload.remove_prefix(piece.size());
    frames +=
        raw_frame(first ? opcode : kContinuation, piece, {.final = payload.empty(), .reserved = first ? reserved : 0});
  }
  return frames;
}

WebSocketCases websocket_message_cases() {
  WebSocketCases cases;
  for (const std::size_t size : {0, 125, 126, 127, 128, 65535, 65536}) {
    const std::string stars(size, '*');
    const std::string bytes(size, '\xfe');
    cases.push_back({"1.1 text of " + std::to_string(size), text(stars), {"text " + stars}});
    cases.push_back({"1.2 binary of " + std::to_string(size), raw_frame(kBinary, bytes), {"binary " + bytes}});
  }
  const std::string large(65536, '*');
  cases.push_back({"10.1.1 fragments of 1300", raw_fragments(kText, large, 1300), {"text " + large}});
  cases.push_back({"two messages", text("one") + raw_frame(kBinary, "two"), {"text one", "binary two"}});
  // RFC 6455 section 5.7.
  cases.push_back({"5.7 masked text", "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", {"text Hello"}});
  return cases;
}

WebSocketCases websocket_ping_cases() {
  const std::string binary("\x00\xff\xfe\xfd\xfc\xfb\x00\xff", 8);
  const std::string most(125, '\xfe');
  WebSocketCases cases{
      {"2.1 empty ping", raw_frame(kPing, ""), {"ping "}},
      {"2.2 ping", raw_frame(kPing, "Hello, world!"), {"ping Hello, world!"}},
      {"2.3 binary ping", raw_frame(kPing, binary), {"ping " + binary}},
      {"2.4 ping of 125 bytes", raw_frame(kPing, most), {"ping " + most}},
      {"2.5 ping of 126 bytes", raw_frame(kPing, most + "\xfe"), {kRefused}, 2},
      {"2.7 pong without a ping", raw_frame(kPong, ""), {"pong "}},
      {"2.8 pong with payload", raw_frame(kPong, "unsolicited"), {"pong unsolicited"}},
      {"2.9 pong, ping",
       raw_frame(kPong, "unsolicited") + raw_frame(kPing, "payload"),
       {"pong unsolicited", "ping payload"}},
  };
  WebSocketCase ten{"2.10 ten pings", {}, {}};
  for (int i = 0; i < 10; ++i) {
    ten.bytes += raw_frame(kPing, "payload-" + std::to_string(i));
    ten.items.push_back("ping payload-" + std::to_string(i));
  }
  cases.push_back(ten);
  return cases;
}

WebSocketCases websocket_head_cases() {
  const std::string hello = "Hello, world!";
  const std::string before = text(hello);
  const std::string after = raw_frame(kPing, "");
  const std::size_t second = before.size() + 2;
  WebSocketCases cases;
  for (unsigned bits = 1; bits < 8; ++bits) {
    const std::string name = "3." + std::to_string(bits) + " reserved bits";
    const FrameOptions reserved{.reserved = bits};
    for (const unsigned opcode : {kText, kBinary, kPing, kClose}) {
      cases.push_back({name, before + raw_frame(opcode, hello, reserved) + after, {"text " + hello, kRefused}, second});
    }
    cases.push_back({name + " of a continuation",
                     raw_frame(kText, "a", kMore) + raw_frame(kContinuation, "b", reserved),
                     {kRefused},
                     9});
  }
  for (const unsigned opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    const std::string name = (opcode < 8 ? "4.1 opcode " : "4.2 opcode ") + std::to_string(opcode);
    cases.push_back({name, raw_frame(opcode, ""), {kRefused}, 2});
    cases.push_back(
        {name + " after a text", before + raw_frame(opcode, hello) + after, {"text " + hello, kRefused}, second});
  }
  const FrameOptions bare{.masked = false};
  for (const unsigned opcode : {kText, kBinary, kPing, kPong, kClose}) {
    cases.push_back({"not masked: " + std::to_string(opcode), raw_frame(opcode, "a", bare), {kRefused}, 2});
    cases.push_back({"not masked and empty: " + std::to_string(opcode), raw_frame(opcode, "", bare), {kRefused}, 2});
  }
  cases.push_back(
      {"continuation not masked", raw_frame(kText, "a", kMore) + raw_frame(kContinuation, "b", bare), {kRefused}, 9});
  // Lengths must be in the shortest form, and below 2^63.
  for (const std::size_t size : {0, 1, 125}) {
    const std::string payload(size, 'a');
    cases.push_back({"length in 2 bytes", raw_frame(kText, payload, {.length_bytes = 2}), {kRefused}, 8});
    cases.push_back({"length in 2 bytes of a ping", raw_frame(kPing, payload, {.length_bytes = 2}), {kRefused}, 2});
  }
  for (const std::size_t size : {0, 1, 125, 126, 65535}) {
    cases.push_back(
        {"length in 8 bytes", raw_frame(kBinary, std::string(size, 'a'), {.length_bytes = 8}), {kRefused}, 14});
  }
  const std::string mask = "\x37\xfa\x21\x3d";
  const std::string zeros(7, '\0');
  cases.push_back({"length of 2^63", "\x82\xff\x80" + zeros + mask + "abc", {kRefused}, 14});
  cases.push_back({"length of 2^64-1", "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" + mask + "abc", {kRefused}, 14});
  cases.push_back(
      {"length of 2^63-1", "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" + mask + "abc", {"failure 1009"}, 14});
  cases.push_back({"incomplete head", start_of(text(std::string(300, 'a')), 7), {}});
  cases.push_back({"incomplete payload", start_of(text("Hello"), 9), {}});
  cases.push_back({"nothing", "", {}});
  return cases;
}

WebSocketCases websocket_fragment_cases() {
  const auto first = [](std::string_view payload) { return raw_frame(kText, payload, kMore); };
  const auto more = [](std::string_view payload) { return raw_frame(kContinuation, payload, kMore); };
  const auto last = [](std::string_view payload) { return raw_frame(kContinuation, payload); };
  const std::string ping = raw_frame(kPing, "ping payload");
  return {
      {"5.1 ping in fragments", raw_frame(kPing, "fragment1", kMore) + last("fragment2"), {kRefused}, 2},
      {"5.2 pong in fragments", raw_frame(kPong, "fragment1", kMore) + last("fragment2"), {kRefused}, 2},
      {"close in fragments", raw_frame(kClose, "\x03\xe8", kMore) + last(""), {kRefused}, 2},
      {"5.3 text in fragments", first("fragment1") + last("fragment2"), {"text fragment1fragment2"}},
      {"5.6 ping between",
       first("fragment1") + ping + last("fragment2"),
       {"ping ping payload", "text fragment1fragment2"}},
      {"5.9 nothing to continue", last("non-continuation payload") + text("Hello"), {kRefused}, 2},
      {"5.12 nothing to continue, more to come", more("non-continuation payload") + text("Hello"), {kRefused}, 2},
      {"5.15 continued after the end",
       first("fragment1") + last("fragment2") + more("fragment3") + text("fragment4"),
       {"text fragment1fragment2", kRefused}},
      {"5.16 continued, then a message", more("fragment1") + first("fragment2") + last("fragment3"), {kRefused}, 2},
      {"5.17 continued, then a message", last("fragment1") + first("fragment2") + last("fragment3"), {kRefused}, 2},
      {"5.18 text within a text", first("fragment1") + text("fragment2"), {kRefused}, 17},
      {"binary within a text", first("fragment1") + raw_frame(kBinary, "fragment2", kMore), {kRefused}, 17},
      {"5.19 pings between five fragments",
       first("fragment1") + more("fragment2") + raw_frame(kPing, "pongme 1!") + more("fragment3") + more("fragment4") +
           raw_frame(kPing, "pongme 2!") + last("fragment5"),
       {"ping pongme 1!", "ping pongme 2!", "text fragment1fragment2fragment3fragment4fragment5"}},
      {"close between fragments", first("fragment1") + raw_close(1000) + last("fragment2"), {"close 1000 "}},
      {"pong between fragments of a binary",
       raw_frame(kBinary, "a", kMore) + raw_frame(kPong, "p") + last("b"),
       {"pong p", "binary ab"}},
      {"begun but not complete", first("fragment1") + more("fragment2"), {}},
      {"two messages in fragments", first("a") + last("b") + first("c") + last("d"), {"text ab", "text cd"}},
  };
}

WebSocketCases all_websocket_cases() {
  WebSocketCases all;
  for (WebSocketCases part : {websocket_message_cases(), websocket_ping_cases(), websocket_head_cases(),
                              websocket_fragment_cases(), websocket_text_cases(), websocket_close_cases()}) {
    all.insert(all.end(), std::make_move_iterator(part.begin()), std::make_move_iterator(part.end()));
  }
  return all;
}

}  // namespace pronghorn::test
