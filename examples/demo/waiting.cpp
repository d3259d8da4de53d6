// Three ways to take long: waiting, which lets the worker serve others meanwhile; blocking, which is a mistake; and
// using the CPU.
#include <pronghorn/json.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<Response> slow(Request& request) {
  const auto time = asked_time(request, "ms", 1000);
  co_await sleep_for(time);
  co_return json_response({{"waited_ms", time.count()}});
}

// A mistake, made on purpose: the worker serves nobody else meanwhile, and the supervisor's watchdog kills a worker
// that blocks for longer than worker_timeout.
Response block(Request& request) {
  const auto time = asked_time(request, "ms", 1000);
  std::this_thread::sleep_for(time);
  return json_response({{"blocked_ms", time.count()}});
}

// Uses CPU time of this thread, not wall-clock time: a busy machine makes it take longer, not less work.
Response burn(Request& request) {
  const auto time = asked_time(request, "ms", 2);
  const auto used = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  const auto end = used() + time;
  while (used() < end) {
  }
  return json_response({{"burnt_ms", time.count()}});
}

}  // namespace

std::chrono::milliseconds asked_time(const Request& request, std::string_view name, std::uint32_t otherwise) {
  return std::min(std::chrono::milliseconds(request.query<std::uint32_t>(name).value_or(otherwise)), kLongestTime);
}

void add_waiting_routes(App& app) {
  app.get("/slow", slow).deadline(kLongestTime + 1min);
  app.get("/block", block);
  app.get("/burn", burn);
  app.get("/burn/critical", burn).priority(Priority::critical);
  app.get("/burn/background", burn).priority(Priority::background);
}

}  // namespace demo
