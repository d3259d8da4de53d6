// Counts and logs a request when it ends.
#pragma once

#include <cstdint>

#include "common/ipc/scoreboard.h"
#include "worker/exchange/exchange.h"
#include "worker/exchange/logging/access_log.h"

namespace pronghorn::worker {

// Counts an answered request, its status and its latency, in total and for its route, and writes its line into the
// access log. `bytes` is the size of the response with its head. Called once, when the response was handed to the
// connection. If the client has left meanwhile (ExchangeOwner::client_left(), asked only about requests that took 10 ms
// or longer), it is recorded as lost.
void record_request(WorkerRow& row, AccessLog& log, Exchange& exchange, int status, std::uint64_t bytes);

// Why a request got no complete response.
enum class Lost : std::uint8_t {
  client_left,  // the client closed or reset the connection, or did not send the whole request
  cut,          // the server closed the connection: a timeout, a failed stream, the end of a drain
  worker_died,  // of another worker, which could not record it itself
};

// Counts a request that was recorded as answered, but whose client did not get the complete response. (The supervisor
// counts those of a worker that died.)
void count_lost_response(WorkerRow& row, Lost why) noexcept;

// Counts a request that got no whole response, with its latency until now, and writes its line into the access log. The
// status there is one that no response has, as in nginx: 499 for client_left, 444 for cut, 445 for worker_died.
void record_lost_request(WorkerRow& row, AccessLog& log, Exchange& exchange, Lost why, std::uint64_t bytes);

}  // namespace pronghorn::worker
