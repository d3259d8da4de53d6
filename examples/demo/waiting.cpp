// Two ways to take long: one that lets the worker serve others meanwhile, and the mistake.
#include <pronghorn/json.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds kLongest = 10min;

// The query field `ms`, at most kLongest.
std::chrono::milliseconds asked_time(const Request& request) {
  const auto ms = request.query<std::uint32_t>("ms").value_or(1000);
  return std::min(std::chrono::milliseconds(ms), kLongest);
}

Task<Response> slow(Request& request) {
  const auto time = asked_time(request);
  co_await sleep_for(time);
  co_return json_response({{"waited_ms", time.count()}});
}

// On purpose: nobody else is served by this worker meanwhile, and the supervisor's watchdog (option worker_timeout)
// ends a worker that stands still for too long.
Response block(Request& request) {
  const auto time = asked_time(request);
  std::this_thread::sleep_for(time);
  return json_response({{"blocked_ms", time.count()}});
}

}  // namespace

void add_waiting_routes(App& app) {
  app.get("/slow", slow).deadline(kLongest + 1min);
  app.get("/block", block);
}

}  // namespace demo
