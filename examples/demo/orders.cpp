// A request that must not be carried out twice: its client names it with an Idempotency-Key and may send it again until
// it gets an answer.
#include <pronghorn/json.h>
#include <pronghorn/timer.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

// ?ms= how long it waits before the order is placed, ?burn= how long it blocks
Task<Response> order(Request& request) {
  const auto blocked = asked_time(request, "burn", 0);
  co_await sleep_for(asked_time(request, "ms", 0));
  std::this_thread::sleep_for(blocked);
  const Reply number = co_await request.redis().command("INCR", "demo:orders");
  co_return json_response({{"order", number.integer()}, {"pid", ::getpid()}}, 201);
}

}  // namespace

void add_order_routes(App& app) { app.post("/orders", order).idempotent().deadline(2 * kLongestTime + 1min); }

}  // namespace demo
