// Routes with a deadline: one handler that misses it, one that does not.
#include <pronghorn/pronghorn.h>

#include <chrono>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<Response> waits(Request&) {
  co_await sleep_for(1h);
  co_return text("too late");
}

Task<Response> ends(Request&) {
  co_await sleep_for(1ms);
  co_return text("in time");
}

}  // namespace

PRONGHORN_APP(app) {
  app.get("/waits", waits).deadline(200ms);
  app.get("/ends", ends).deadline(5s);
}
