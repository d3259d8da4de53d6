#include "worker/state/redis/health/circuit_breaker.h"

#include <algorithm>

namespace pronghorn::worker {

bool CircuitBreaker::missed() noexcept {
  if (!closed() || ++failures_ < kFailuresToOpen) return false;
  state_ = Circuit::open;
  return true;
}

void CircuitBreaker::probe_missed() noexcept {
  state_ = Circuit::open;
  wait_ms_ = std::min(2 * wait_ms_, kLongestWaitMs);
}

void CircuitBreaker::close() noexcept {
  state_ = Circuit::closed;
  failures_ = 0;
  wait_ms_ = kFirstWaitMs;
}

}  // namespace pronghorn::worker
