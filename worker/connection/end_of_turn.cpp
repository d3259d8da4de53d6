#include "worker/connection/end_of_turn.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {

EndOfTurn::EndOfTurn(ExchangePool& exchanges) noexcept : exchanges_(exchanges) {}

EndOfTurn::~EndOfTurn() { run(); }

void EndOfTurn::destroy(std::unique_ptr<TurnWork> work) { ended_work_.push_back(std::move(work)); }

void EndOfTurn::forget(TurnWork& work) noexcept {
  std::ranges::replace(unflushed_, &work, nullptr);
  std::ranges::replace(yielding_, &work, nullptr);
  if (resuming_ != nullptr) std::ranges::replace(*resuming_, &work, nullptr);
}

void EndOfTurn::run() {
  // By index: flushing one may resume a coroutine that writes to another.
  for (std::size_t i = 0; i < unflushed_.size(); ++i) {
    if (TurnWork* const work = unflushed_[i]) work->end_turn();
  }
  unflushed_.clear();
  while (!ended_work_.empty() || !ended_exchanges_.empty()) {
    auto ended = std::exchange(ended_work_, {});
    for (const auto& work : ended) forget(*work);
    ended.clear();  // before the exchanges: producers use their requests
    for (Exchange* exchange : std::exchange(ended_exchanges_, {})) exchanges_.close(*exchange);
  }
}

void EndOfTurn::resume() {
  // By index: what is resumed may forget another.
  auto waiting = std::exchange(yielding_, {});
  resuming_ = &waiting;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (TurnWork* const work = waiting[i]) work->next_turn();
  }
  resuming_ = nullptr;
}

}  // namespace pronghorn::worker
