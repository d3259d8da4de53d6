// Why a request is refused before any handler sees it.
#pragma once

#include "common/ipc/scoreboard.h"

namespace pronghorn::worker {

// The connection is closed after the answer.
struct Refusal {
  int status = 0;                    // 0: not refused
  const char* reason = "";           // for the client: what is wrong
  LimitHit limit = LimitHit::count;  // what was reached; count: no limit
};

}  // namespace pronghorn::worker
