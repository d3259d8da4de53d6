#pragma once

#include <string>

#include "common/crash_record.h"

namespace pronghorn::worker {

// The id of the request that was running when SIGURG came last, as its response has it; empty: there was none. `stall`
// is the record of this process.
[[nodiscard]] std::string id_of_stalled(const StallRecord& stall);

}  // namespace pronghorn::worker
