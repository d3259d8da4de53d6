// Reads all of some bytes with a FrameReader, and says what it read as the table of cases does.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/websocket/protocol/frame_reader.h"

namespace pronghorn::test {

inline std::string describe(const worker::FrameStep& step) {
  const std::string payload(step.payload);
  switch (step.item) {
    case worker::FrameItem::none:
      return "none";
    case worker::FrameItem::text:
      return "text " + payload;
    case worker::FrameItem::binary:
      return "binary " + payload;
    case worker::FrameItem::ping:
      return "ping " + payload;
    case worker::FrameItem::pong:
      return "pong " + payload;
    case worker::FrameItem::close:
      return "close " + std::to_string(step.code) + " " + payload;
    case worker::FrameItem::failure:
      return "failure " + std::to_string(step.code);
  }
  return "?";
}

// Gives `bytes` to the reader and appends what it reads to `items`.
inline void read_piece(worker::FrameReader& reader, std::string_view bytes, std::vector<std::string>& items) {
  while (true) {
    const worker::FrameStep step = reader.next(bytes);
    bytes.remove_prefix(step.consumed);
    if (step.item == worker::FrameItem::none) return;
    items.push_back(describe(step));
  }
}

// `size`: of the pieces in which the bytes arrive.
inline std::vector<std::string> read_frames(std::string_view bytes, worker::FrameRules rules = {},
                                            std::size_t size = std::string_view::npos) {
  worker::FrameMemory memory;
  worker::FrameReader reader(memory, rules);
  std::vector<std::string> items;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
    read_piece(reader, bytes.substr(0, size), items);
  }
  return items;
}

}  // namespace pronghorn::test
