// Why a request is refused before it is routed.
#pragma once

#include <optional>

#include "common/ipc/counters.h"

namespace pronghorn::worker {

// The connection is closed after the response.
struct Refusal {
  int status = 0;                   // 0 if the request is not refused
  const char* reason = "";          // the detail of the response
  std::optional<Count> limit = {};  // the counter of the limit that was exceeded, if any
};

}  // namespace pronghorn::worker
