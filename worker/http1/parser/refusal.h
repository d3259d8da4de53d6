// Why a request is refused before any handler sees it.
#pragma once

#include <optional>

#include "common/ipc/counters.h"

namespace pronghorn::worker {

// The connection is closed after the answer.
struct Refusal {
  int status = 0;                   // 0: not refused
  const char* reason = "";          // for the client: what is wrong
  std::optional<Count> limit = {};  // counted when the request is refused
};

}  // namespace pronghorn::worker
