// WebSocket frames: what a client sends, and that what is written can be read.
#include "common/text/utf8.h"
#include "framing/websocket_cases.h"
#include "fuzz/fuzz_target.h"
#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/protocol/frame_writer.h"

namespace pronghorn::fuzz::websocket {

namespace {

using worker::DeflateTerms;
using worker::FrameItem;
using worker::FrameRules;
using worker::FrameStep;
using worker::FrameWriter;
using worker::WebSocketRole;

constexpr std::uint32_t kMaxMessage = 3000;

struct Item {
  FrameItem item;
  std::uint16_t code;
  std::string payload;

  bool operator==(const Item&) const = default;
};

struct Read {
  std::vector<Item> items;
  std::size_t fragments = 0;  // empty or small
  bool in_message = false;

  bool operator==(const Read&) const = default;
};

bool is_message(FrameItem item) { return item == FrameItem::text || item == FrameItem::binary; }

void check_item(const Item& item, const FrameRules& rules) {
  const std::size_t size = item.payload.size();
  require(!is_message(item.item) || size <= rules.max_message, "a message has a limit");
  require(is_message(item.item) || size <= worker::kMaxControlPayload, "a control frame has at most 125 bytes");
  require(item.item == FrameItem::binary || item.item == FrameItem::ping || item.item == FrameItem::pong ||
              is_utf8(item.payload),
          "texts and reasons are UTF-8");
  if (item.item == FrameItem::close) {
    require(worker::valid_close_code(item.code) || item.code == pronghorn::kCloseNoCode, "a close code is valid");
  }
  if (item.item == FrameItem::failure) {
    require(item.code == 1002 || item.code == 1007 || item.code == 1009, "a failure has a code that can be sent");
  }
}

template <class Pieces>
Read read(std::string_view input, const FrameRules& rules) {
  static worker::FrameMemory memory;  // shared, as in a worker
  worker::FrameReader reader(memory, rules);
  Read result;
  for (Pieces pieces(input); !pieces.empty();) {
    std::string_view piece = pieces.next();
    while (true) {
      const FrameStep step = reader.next(piece);
      require(step.consumed <= piece.size(), "what is consumed was in the input");
      piece.remove_prefix(step.consumed);
      result.fragments += step.empty_fragments + step.small_fragments;
      if (step.item == FrameItem::none) break;
      require(!reader.ended() || step.item == FrameItem::close || step.item == FrameItem::failure,
              "nothing comes after a close");
      result.items.push_back({step.item, step.code, std::string(step.payload)});
      check_item(result.items.back(), rules);
      // Whether the fragment that breaks a rule had ended depends on the pieces.
      if (step.item == FrameItem::failure) result.fragments = 0;
    }
    require(piece.empty(), "a reader that needs more has used all it had");
  }
  result.in_message = reader.in_message();
  return result;
}

void check_reading(std::string_view input, const FrameRules& rules) {
  require(read<Pieces>(input, rules) == read<OnePiece>(input, rules), "frames are the same in one piece and in many");
}

// What one side writes the other side reads.
void check_writing(std::string_view payload, WebSocketRole writes, std::optional<DeflateTerms> terms) {
  static FrameWriter server(WebSocketRole::server);
  static FrameWriter client(WebSocketRole::client);
  FrameWriter& writer = writes == WebSocketRole::server ? server : client;
  const std::string_view control = payload.substr(0, worker::kMaxControlPayload);
  std::string bytes;
  writer.binary(bytes, payload, terms);
  writer.ping(bytes, control);
  const bool text = is_utf8(payload);
  if (text) writer.text(bytes, payload, terms);
  writer.close(bytes, 1000, payload);

  const WebSocketRole reads = writes == WebSocketRole::server ? WebSocketRole::client : WebSocketRole::server;
  const FrameRules rules{.role = reads, .deflate = terms.has_value(), .max_message = 1 << 20};
  const Read result = read<OnePiece>(bytes, rules);
  require(result == read<Pieces>(bytes, rules), "frames are the same in one piece and in many");
  require(result.items.size() == (text ? 4 : 3), "every frame is read");
  require(result.items[0] == Item{FrameItem::binary, 0, std::string(payload)}, "a message comes back");
  require(result.items[1] == Item{FrameItem::ping, 0, std::string(control)}, "a ping comes back");
  require(!text || result.items[2] == Item{FrameItem::text, 0, std::string(payload)}, "a text comes back");
  require(result.items.back().item == FrameItem::close && payload.starts_with(result.items.back().payload),
          "a reason comes back, if it was not too long");
}

}  // namespace

static void fuzz(std::string_view input) {
  check_reading(input, {.max_message = kMaxMessage});
  check_reading(input, {.deflate = true, .max_message = kMaxMessage});
  check_reading(input, {.role = WebSocketRole::client, .deflate = true, .max_message = kMaxMessage});
  const auto window = static_cast<std::uint8_t>(9 + input.size() % 7);
  check_writing(input, WebSocketRole::server, std::nullopt);
  check_writing(input, WebSocketRole::client, DeflateTerms{window});
}

static std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const test::WebSocketCase& test : test::all_websocket_cases()) {
    if (test.bytes.size() < 1000) inputs.push_back(test.bytes);
  }
  const std::string hello("\xf2\x48\xcd\xc9\xc9\x07\x00", 7);  // compressed
  const std::string in_blocks("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13);
  const std::string final_block("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8);
  for (const std::string& payload : {hello, in_blocks, final_block}) {
    for (const bool masked : {true, false}) {
      inputs.push_back(test::raw_frame(1, payload, {.reserved = 4, .masked = masked}));
    }
    inputs.push_back(test::raw_fragments(2, payload, 3, 4));
  }
  std::string bomb;
  worker::Deflater().deflate(std::string(kMaxMessage + 1, 'a'), {}, bomb);
  inputs.push_back(test::raw_frame(1, bomb, {.reserved = 4}));
  return inputs;
}

static const Registered kRegistered({"websocket", fuzz, seeds});

}  // namespace pronghorn::fuzz::websocket
