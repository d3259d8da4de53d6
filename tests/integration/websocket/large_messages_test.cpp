// Large messages, fragments and compression through a real server: sections 9, 12 and 13 of the Autobahn test suite,
// with fewer repetitions. Their numbers are in the names of what is tested.
#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "framing/websocket_cases.h"
#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"
#include "worker/websocket/protocol/deflate.h"

using namespace pronghorn::test;

namespace {

constexpr unsigned kText = 1;
constexpr unsigned kBinary = 2;

std::string repeated(std::string_view pattern, std::size_t size) {
  std::string text;
  text.reserve(size + pattern.size());
  while (text.size() < size) text += pattern;
  text.resize(size);
  return text;
}

ServerOptions echoes() { return {.app = app_path("apps/sockets"), .workers = 1}; }

void check_echo(WebSocketClient& client, unsigned opcode, const std::string& payload) {
  const WebSocketEvent event = client.receive(60s);
  CHECK(event.kind == (opcode == kText ? WebSocketEvent::Kind::text : WebSocketEvent::Kind::binary));
  CHECK(event.payload.size() == payload.size());
  REQUIRE((event.payload == payload));
}

std::string random_bytes(std::size_t size) {
  std::minstd_rand random(1);
  std::string bytes(size, '\0');
  std::ranges::generate(bytes, [&random] { return static_cast<char>(random() >> 8); });
  return bytes;
}

std::string json_text(std::size_t size) {
  std::string text = "[";
  for (unsigned i = 0; text.size() < size; ++i) {
    text += R"({"id":)" + std::to_string(i * 7919 % 100'000) + R"(,"name":"Grüße an )" + std::to_string(i % 97) +
            R"(","tags":["a","b"],"value":)" + std::to_string(i * 31 % 1000) + "},";
  }
  return text;
}

// The next `size` bytes of a text, between characters.
std::string_view next_piece(std::string_view text, std::size_t& at, std::size_t size) {
  if (at + size + 4 > text.size()) at = 0;
  const auto is_inside = [&](std::size_t i) { return (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80; };
  std::size_t end = at + size;
  while (is_inside(end)) ++end;
  const std::string_view piece = text.substr(at, end - at);
  at = end;
  return piece;
}

struct Sizes {
  std::size_t message;
  std::size_t fragment;  // of what is compressed; 0: one frame
};
const std::vector<Sizes> kCompressedSizes{{16, 0},        {64, 0},        {256, 0},       {1024, 0},    {4096, 0},
                                          {8192, 0},      {16384, 0},     {32768, 0},     {65536, 0},   {131072, 0},
                                          {8192, 256},    {16384, 256},   {32768, 256},   {65536, 256}, {131072, 256},
                                          {131072, 1024}, {131072, 4096}, {131072, 32768}};

// Messages of all these sizes, compressed, and their echoes.
void check_compressed(WebSocketClient& client, unsigned opcode, const std::string& data, int window, int times) {
  pronghorn::worker::Deflater deflater;
  std::size_t at = 0;
  for (const Sizes& sizes : kCompressedSizes) {
    INFO(sizes.message << " bytes in fragments of " << sizes.fragment);
    for (int i = 0; i < times; ++i) {
      const std::string message(next_piece(data, at, sizes.message));
      std::string payload;
      deflater.deflate(message, {static_cast<std::uint8_t>(window)}, payload);
      const std::size_t fragment = sizes.fragment == 0 ? payload.size() : sizes.fragment;
      REQUIRE(client.send_raw(raw_fragments(opcode, payload, fragment, 4)));
      check_echo(client, opcode, message);
    }
  }
}

}  // namespace

TEST_CASE("messages of up to 16 MiB come back (Autobahn 9.1, 9.2)", "[websocket]") {
  const ServerProcess server(echoes());
  WebSocketClient client(server.address(), "/echo");
  for (const std::size_t size : {kMiB / 16, kMiB / 4, kMiB, 4 * kMiB, 8 * kMiB, 16 * kMiB}) {
    const std::string text = repeated("BAsd7&jh23", size);
    CHECK(client.send_text(text));
    check_echo(client, kText, text);
    const std::string bytes = repeated(std::string("\x00\xfe\x23\xfa\xf0", 5), size);
    CHECK(client.send_binary(bytes));
    check_echo(client, kBinary, bytes);
  }
  CHECK(client.send_text(std::string(16 * kMiB + 1, 'a')));
  CHECK(close_code(client) == 1009);
}

TEST_CASE("a message of 4 MiB comes back, whatever its fragments are (Autobahn 9.3, 9.4)", "[websocket]") {
  const ServerProcess server(echoes());
  WebSocketClient client(server.address(), "/echo");
  const std::string text = repeated("BAsd7&jh23", 4 * kMiB);
  for (const std::size_t fragment :
       {std::size_t{64}, std::size_t{256}, kMiB / 1024, kMiB / 256, kMiB / 64, kMiB / 16, kMiB / 4, kMiB, 4 * kMiB}) {
    INFO(fragment);
    for (const unsigned opcode : {kText, kBinary}) {
      CHECK(client.send_raw(raw_fragments(opcode, text, fragment)));
      check_echo(client, opcode, text);
    }
  }
}

TEST_CASE("a message of 1 MiB comes back, whatever pieces it is sent in (Autobahn 9.5, 9.6)", "[websocket]") {
  const ServerProcess server(echoes());
  WebSocketClient client(server.address(), "/echo");
  const std::string text = repeated("BAsd7&jh23", kMiB);
  for (const std::size_t piece : {64U, 128U, 256U, 512U, 1024U, 2048U}) {
    INFO(piece);
    for (const unsigned opcode : {kText, kBinary}) {
      const std::string frame = raw_frame(opcode, text);
      for (std::size_t i = 0; i < frame.size(); i += piece) {
        REQUIRE(client.send_raw(std::string_view(frame).substr(i, piece)));
      }
      check_echo(client, opcode, text);
    }
  }
}

TEST_CASE("messages go to and fro (Autobahn 9.7, 9.8)", "[websocket]") {
  const ServerProcess server(echoes());
  WebSocketClient client(server.address(), "/echo");
  for (const std::size_t size : {0U, 16U, 64U, 256U, 1024U, 4096U}) {
    const std::string payload(size, '*');
    for (int i = 0; i < 100; ++i) {
      for (const unsigned opcode : {kText, kBinary}) {
        REQUIRE(client.send_raw(raw_frame(opcode, payload)));
        check_echo(client, opcode, payload);
      }
    }
  }
}

TEST_CASE("a message without end is refused, and needs no memory (Autobahn 9.9)", "[websocket][hostile]") {
  const ServerProcess server(echoes());
  WebSocketClient client(server.address(), "/echo");
  const std::string frame = raw_frame(0, std::string(4096, '*'), {.final = false});
  CHECK(client.send_raw(raw_frame(kText, "begin", {.final = false})));
  for (int i = 0; i < 8192 && client.send_raw(frame); ++i) {
  }  // 32 MiB
  CHECK(close_code(client) == 1009);
  CHECK(server.status().at("totals").at("websockets").at("closed_by_server") == 1);
}

TEST_CASE("compressed messages of all kinds of content come back (Autobahn 12)", "[websocket][deflate]") {
  const ServerProcess server(echoes());
  const std::vector<std::pair<unsigned, std::string>> contents{
      {kText, json_text(600'000)},
      {kBinary, random_bytes(300'000)},
      {kBinary, repeated("Habe nun, ach! Philosophie, Juristerei und Medizin\n", 300'000)},
      {kText, read_file(source_path("/docs/architecture.md")) + repeated("<p>ä</p>", 150'000)}};
  for (const auto& [opcode, content] : contents) {
    WebSocketClient client(server.address(), "/echo", {.compress = true});
    REQUIRE(client.compresses());
    check_compressed(client, opcode, content, 15, 5);
  }
}

TEST_CASE("whatever a client offers, compression is agreed on and works (Autobahn 13)", "[websocket][deflate]") {
  const std::string plain = "permessage-deflate; client_no_context_takeover; client_max_window_bits";
  const auto [offer, window] = GENERATE_COPY(table<std::string, int>({
      {plain, 15},
      {plain + "; server_no_context_takeover", 15},
      {plain + "; server_max_window_bits=9", 9},
      {plain + "; server_max_window_bits=15", 15},
      {plain + "; server_no_context_takeover; server_max_window_bits=9", 9},
      {plain + "; server_no_context_takeover; server_max_window_bits=15", 15},
      {plain + "; server_no_context_takeover; server_max_window_bits=9, " + plain + "; server_no_context_takeover, " +
           plain,
       9},
  }));
  INFO(offer);
  const ServerProcess server(echoes());
  WebSocketClient client(server.address(), "/echo", {.compress = true, .offer = offer});
  REQUIRE(client.compresses());
  const std::string answer = client.handshake().header("Sec-WebSocket-Extensions");
  CHECK(answer.find("server_no_context_takeover") != std::string::npos);
  if (window < 15) CHECK(answer.find("server_max_window_bits=" + std::to_string(window)) != std::string::npos);
  check_compressed(client, kText, json_text(600'000), 15, 2);
}
