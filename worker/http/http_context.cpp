#include "worker/http/http_context.h"

namespace pronghorn::worker {

Exchange* ExchangePool::acquire() {
  if (free_.empty()) return new Exchange;
  Exchange* exchange = free_.back().release();
  free_.pop_back();
  return exchange;
}

void ExchangePool::release(Exchange* exchange) noexcept {
  std::unique_ptr<Exchange> owned(exchange);
  owned->clear();
  if (free_.size() < kKept) free_.push_back(std::move(owned));
}

}  // namespace pronghorn::worker
