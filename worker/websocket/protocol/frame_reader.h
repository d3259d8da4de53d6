// Turns the bytes of a WebSocket peer into messages and control frames (RFC 6455 section 5, RFC 7692).
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "worker/websocket/protocol/deflate.h"
#include "worker/websocket/protocol/frame_assembly.h"

namespace pronghorn::worker {

// Memory that the readers of one worker share: a decompressor, and what readers need while a message is incomplete.
//
// Context: one thread. Must outlive its readers.
class FrameMemory {
 public:
  [[nodiscard]] std::unique_ptr<FrameAssembly> take();
  void give_back(std::unique_ptr<FrameAssembly> assembly);
  [[nodiscard]] Inflater& inflater() noexcept { return inflater_; }

 private:
  std::vector<std::unique_ptr<FrameAssembly>> spare_;
  Inflater inflater_;
};

// The bytes of one peer. Joins fragments, decompresses, and checks everything that the RFCs say about frames.
//
// A reader that is between two messages has no memory but itself. While a frame or message is incomplete it has 5 KiB
// and at most twice what has arrived of the message; it reserves nothing for what a frame announces. The work is linear
// in the bytes that arrive and in the size of the messages.
//
// Context: loop thread. Errors: std::bad_alloc.
class FrameReader {
 public:
  explicit FrameReader(FrameMemory& memory, FrameRules rules = {}) noexcept : memory_(&memory), rules_(rules) {}

  // Reads from the start of `bytes` up to the end of the first item, or all of it if no item ends there. Call it with
  // the rest until it returns `none`: that call also frees what the last message needed. A view in the step is valid
  // until the next call of next() or the end of the reader. After `close` and `failure` all further bytes are consumed
  // and ignored.
  //
  // A rule is applied as soon as the byte that breaks it has arrived: an invalid byte in a text need not wait for the
  // end of its frame. Only compressed messages wait until they are complete.
  [[nodiscard]] FrameStep next(std::string_view bytes);

  // Whether bytes were consumed that belong to an incomplete frame or message. Control frames between the frames of a
  // message do not end this.
  [[nodiscard]] bool in_message() const noexcept { return !ended_ && assembly_ && assembly_->begun(); }
  // Whether next() has returned `close` or `failure`.
  [[nodiscard]] bool ended() const noexcept { return ended_; }

 private:
  FrameMemory* memory_;
  std::unique_ptr<FrameAssembly> assembly_;
  FrameRules rules_;
  bool ended_ = false;
};

}  // namespace pronghorn::worker
