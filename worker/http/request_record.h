// What is counted and logged of a request that was answered.
#pragma once

#include <cstdint>

#include "common/ipc/scoreboard.h"
#include "worker/http/access_log.h"
#include "worker/http/exchange.h"

namespace pronghorn::worker {

// Counts the request, its status and its latency, in total and for its route, and writes its line into the access log.
// `bytes` is the size of the response with its head. Called once, when the response was handed to the socket.
void record_request(WorkerRow& row, AccessLog& log, Exchange& exchange, int status, std::uint64_t bytes);

}  // namespace pronghorn::worker
