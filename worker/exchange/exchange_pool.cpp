#include "worker/exchange/exchange_pool.h"

#include <utility>

namespace pronghorn::worker {

void ExchangePool::add_one() {
  free_.push_back(std::make_unique<Exchange>());
  link(*free_.back());
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
