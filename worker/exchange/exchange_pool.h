// The exchanges of one worker.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "worker/exchange/exchange.h"

namespace pronghorn::worker {

// What an exchange belongs to. All of it must outlive the exchange.
struct ExchangeOrigin {
  ExchangeOwner& owner;
  const Peer& peer;
  const LedgerEntry* noted = nullptr;  // its connection in the ledger; null: it is not there
  StateServices* state;                // null: the worker has no Redis
};

// Owns every exchange, keeps some for reuse, and can list those in use. An idle connection has none.
//
// Context: loop thread, except first().
class ExchangePool {
 public:
  // An exchange for a request that begins now. The caller fills its head and body, and close()s it.
  [[nodiscard]] Exchange& open(const ExchangeOrigin& origin) {
    if (free_.empty()) add_one();
    Exchange* const exchange = free_.back().release();
    free_.pop_back();
    exchange->in_use = true;
    exchange->owner = &origin.owner;
    exchange->peer = &origin.peer;
    exchange->noted = origin.noted;
    exchange->state = origin.state;
    exchange->started = std::chrono::steady_clock::now();
    return *exchange;
  }
  // Destroys the handler's coroutine, if it is still suspended: must not be called from inside it.
  void close(Exchange& exchange) noexcept;

  // All exchanges, linked by Exchange::pool_next; those with in_use are open. The handler of a fatal signal walks the
  // list: it may be called at any moment.
  [[nodiscard]] const Exchange* first() const noexcept { return first_; }

 private:
  void add_one();
  void link(Exchange& exchange) noexcept;
  void unlink(Exchange& exchange) noexcept;

  static constexpr std::size_t kKept = 256;
  std::vector<std::unique_ptr<Exchange>> free_;
  Exchange* first_ = nullptr;
};

}  // namespace pronghorn::worker
