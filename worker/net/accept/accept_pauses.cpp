#include "worker/net/accept/accept_pauses.h"

#include <fmt/format.h>

#include <cstring>

#include "common/log.h"

namespace pronghorn::worker {

void AcceptPauses::paused(int error) noexcept {
  add(row_[Count::accept_pauses]);
  last_ms_ = monotonic_ms();
  ++pauses_;
  if (began_ms_ != 0) return;
  began_ms_ = last_ms_;
  log_warning("accepting is paused: clients wait in the accept queue", {{"error", std::strerror(error)}});
}

void AcceptPauses::look() noexcept {
  if (began_ms_ == 0 || monotonic_ms() - last_ms_ < kCalmMs) return;
  log_info(fmt::format("accepting again after {:.1f} s", static_cast<double>(last_ms_ - began_ms_) / 1e3),
           {{"pauses", pauses_}});
  began_ms_ = 0;
  pauses_ = 0;
}

}  // namespace pronghorn::worker
