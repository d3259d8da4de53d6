// A table of frames that a WebSocket client sends, and of what a server must read from them (RFC 6455). Sections 1 to 7
// and 10 of the Autobahn test suite are in it, under their numbers, and cases of our own. The unit tests read them; the
// fuzz target uses them as seeds. Sections 9, 12 and 13: tests/integration/websocket/large_messages_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::test {

struct FrameOptions {
  bool final = true;
  unsigned reserved = 0;  // RSV1 is 4, RSV2 is 2, RSV3 is 1
  bool masked = true;
  int length_bytes = -1;  // of the extended length: 0, 2 or 8; -1: the shortest form
};
// One frame, made by hand.
[[nodiscard]] std::string raw_frame(unsigned opcode, std::string_view payload, FrameOptions options = {});
// A message in frames of `size` bytes of payload.
[[nodiscard]] std::string raw_fragments(unsigned opcode, std::string_view payload, std::size_t size,
                                        unsigned reserved = 0);
[[nodiscard]] std::string raw_close(unsigned code, std::string_view reason = {});

struct WebSocketCase {
  std::string name;
  std::string bytes;
  // What is read, in order: "text hello", "binary …", "ping …", "pong …", "close 1000 …", "failure 1002".
  std::vector<std::string> items;
  // If not 0: the failure must be known once so many of the bytes have arrived.
  std::size_t known_after = 0;
};
using WebSocketCases = std::vector<WebSocketCase>;

// websocket_frames.cpp
[[nodiscard]] WebSocketCases websocket_message_cases();   // Autobahn 1, 10
[[nodiscard]] WebSocketCases websocket_ping_cases();      // Autobahn 2
[[nodiscard]] WebSocketCases websocket_head_cases();      // Autobahn 3, 4; masks, lengths
[[nodiscard]] WebSocketCases websocket_fragment_cases();  // Autobahn 5

// websocket_texts.cpp
[[nodiscard]] WebSocketCases websocket_text_cases();   // Autobahn 6
[[nodiscard]] WebSocketCases websocket_close_cases();  // Autobahn 7

[[nodiscard]] WebSocketCases all_websocket_cases();

}  // namespace pronghorn::test
