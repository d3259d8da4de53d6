#include "worker/http/exchange_pool.h"

#include <chrono>
#include <utility>

namespace pronghorn::worker {

Exchange& ExchangePool::open(const ExchangeOrigin& origin) {
  Exchange* const exchange = acquire();
  exchange->owner = &origin.owner;
  exchange->peer = &origin.peer;
  exchange->state = origin.state;
  exchange->started = std::chrono::steady_clock::now();
  return *exchange;
}

Exchange* ExchangePool::acquire() {
  Exchange* exchange = nullptr;
  if (free_.empty()) {
    exchange = new Exchange;
    link(*exchange);
  } else {
    exchange = free_.back().release();
    free_.pop_back();
  }
  exchange->in_use = true;
  return exchange;
}

void ExchangePool::close(Exchange& exchange) noexcept {
  std::unique_ptr<Exchange> owned(&exchange);
  owned->clear();
  owned->in_use = false;
  if (free_.size() < kKept) return free_.push_back(std::move(owned));
  unlink(*owned);
}

void ExchangePool::link(Exchange& exchange) noexcept {
  exchange.pool_next = first_;
  if (first_ != nullptr) first_->pool_previous = &exchange;
  first_ = &exchange;
}

void ExchangePool::unlink(Exchange& exchange) noexcept {
  (exchange.pool_previous != nullptr ? exchange.pool_previous->pool_next : first_) = exchange.pool_next;
  if (exchange.pool_next != nullptr) exchange.pool_next->pool_previous = exchange.pool_previous;
}

}  // namespace pronghorn::worker
