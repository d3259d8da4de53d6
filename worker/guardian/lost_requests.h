// The requests that were in flight in a worker when it died, for its crash report.
#pragma once

#include "common/ipc/scoreboard.h"
#include "worker/net/ledger/ledger.h"

namespace pronghorn::worker {

// Lists in `row` the requests that the ledger of the dead worker `row.worker` has as begun and not answered, at most
// kMaxReportedRequests: of each connection the first, with method and path, but without its query, which may hold
// secrets. Its connections must still be open here. For a guardian: allocates nothing.
void list_lost_requests(const Ledger& ledger, GuardianRow& row) noexcept;

}  // namespace pronghorn::worker
