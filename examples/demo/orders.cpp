// A request that must not be carried out twice: its client names it with an Idempotency-Key and may send it again until
// it gets an answer.
#include <pronghorn/json.h>
#include <pronghorn/timer.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds kLongest = 10min;

std::chrono::milliseconds time_of(const Request& request, std::string_view name) {
  return std::min(std::chrono::milliseconds(request.query<std::uint32_t>(name).value_or(0)), kLongest);
}

// ?ms= how long it waits before the order is placed, ?burn= how long it blocks
Task<Response> order(Request& request) {
  const auto blocked = time_of(request, "burn");
  co_await sleep_for(time_of(request, "ms"));
  std::this_thread::sleep_for(blocked);
  const Reply number = co_await request.redis().command("INCR", "demo:orders");
  co_return json_response({{"order", number.integer()}, {"pid", ::getpid()}}, 201);
}

}  // namespace

void add_order_routes(App& app) { app.post("/orders", order).idempotent().deadline(2 * kLongest + 1min); }

}  // namespace demo
