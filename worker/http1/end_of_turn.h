// Work that is deferred to the end of the loop's turn.
#pragma once

#include <memory>
#include <vector>

#include "worker/exchange/exchange_pool.h"

namespace pronghorn::worker {

class StreamedResponse;

// A coroutine that ends, or whose client disconnects, may be on the stack at that moment: its owner passes it to
// EndOfTurn, which destroys it when no code of the application is running. Streams also gather small writes until then,
// and yield to other clients here.
//
// Context: loop thread; run() and resume_streams() must be called from the loop itself.
class EndOfTurn {
 public:
  // `exchanges` must outlive it.
  explicit EndOfTurn(ExchangePool& exchanges) noexcept;
  EndOfTurn(const EndOfTurn&) = delete;
  EndOfTurn& operator=(const EndOfTurn&) = delete;
  ~EndOfTurn();

  void close(Exchange& exchange) { ended_exchanges_.push_back(&exchange); }
  void destroy(std::unique_ptr<StreamedResponse> stream);
  // Calls stream.flush_writes() at the end of this turn.
  void flush(StreamedResponse& stream) { unflushed_.push_back(&stream); }
  // Calls stream.next_turn() in the next turn.
  void resume_next_turn(StreamedResponse& stream) { yielding_.push_back(&stream); }

  // Flushes, then destroys. Destructors of the application may end more exchanges; those are destroyed too.
  void run();
  // Whether streams wait for the next turn: the loop must not block for events.
  [[nodiscard]] bool streams_wait() const noexcept { return !yielding_.empty(); }
  void resume_streams();

 private:
  ExchangePool& exchanges_;
  std::vector<Exchange*> ended_exchanges_;
  std::vector<std::unique_ptr<StreamedResponse>> ended_streams_;
  std::vector<StreamedResponse*> unflushed_;
  std::vector<StreamedResponse*> yielding_;
};

}  // namespace pronghorn::worker
