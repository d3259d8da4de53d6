// Tells of a worker's overload: the log, and its row of the scoreboard.
#pragma once

#include "common/ipc/scoreboard.h"
#include "worker/net/admission.h"

namespace pronghorn::worker {

// Logs one line when a spell of overload has begun and one when it has ended. Call it several times a second.
void report_overload(Admission& admission, WorkerRow& row);

}  // namespace pronghorn::worker
