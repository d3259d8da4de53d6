// Says in the log when its hooks run.
#include <pronghorn/pronghorn.h>

#include <chrono>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<void> started(Worker& worker) {
  co_await sleep_for(1ms);
  log::info("hook: started", {"slot", worker.slot()}, {"generation", worker.generation()});
}

Task<void> stopped_last(Worker&) {
  co_await sleep_for(1ms);
  log::info("hook: stopped last");
}

Task<void> stopped_first(Worker&) {
  co_await sleep_for(1ms);
  log::info("hook: stopped first");
}

Task<Response> background(Request&) {
  spawn([]() -> Task<void> {
    co_await sleep_for(300ms);
    log::info("hook: background work is done");
  }());
  co_return text("begun");
}

}  // namespace

PRONGHORN_APP(app) {
  app.on_start(started);
  app.on_stop(stopped_last);
  app.on_stop(stopped_first);
  app.get("/background", background);
}
