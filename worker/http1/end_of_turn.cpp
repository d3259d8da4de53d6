#include "worker/http1/end_of_turn.h"

#include <utility>

#include "worker/http1/streamed_response.h"

namespace pronghorn::worker {

EndOfTurn::EndOfTurn(ExchangePool& exchanges) noexcept : exchanges_(exchanges) {}

EndOfTurn::~EndOfTurn() { run(); }

void EndOfTurn::destroy(std::unique_ptr<StreamedResponse> stream) { ended_streams_.push_back(std::move(stream)); }

void EndOfTurn::run() {
  // By index: flushing one stream may resume a coroutine that writes to another.
  for (std::size_t i = 0; i < unflushed_.size(); ++i) unflushed_[i]->flush_writes();
  unflushed_.clear();
  while (!ended_streams_.empty() || !ended_exchanges_.empty()) {
    auto streams = std::exchange(ended_streams_, {});
    for (const auto& stream : streams) std::erase(yielding_, stream.get());
    streams.clear();  // before the exchanges: producers use their requests
    for (Exchange* exchange : std::exchange(ended_exchanges_, {})) exchanges_.close(*exchange);
  }
}

void EndOfTurn::resume_streams() {
  // None of them is destroyed meanwhile: that is left to run().
  for (StreamedResponse* stream : std::exchange(yielding_, {})) stream->next_turn();
}

}  // namespace pronghorn::worker
