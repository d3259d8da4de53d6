// Logs when its hooks and background tasks run.
#include <pronghorn/pronghorn.h>

#include <chrono>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<void> started(Worker& worker) {
  co_await sleep_for(1ms);
  log::info("hook: started", {"slot", worker.slot()}, {"generation", worker.generation()});
}

Task<void> draining(Worker& worker) {
  co_await sleep_for(1ms);
  log::info("hook: draining", {"draining", worker.draining()});
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

Response endless(Request&) {
  spawn([]() -> Task<void> {
    for (;;) co_await sleep_for(10ms);
  }());
  return text("begun");
}

}  // namespace

PRONGHORN_APP(app) {
  app.on_start(started);
  app.on_drain(draining);
  app.on_stop(stopped_last);
  app.on_stop(stopped_first);
  if (app.settings().get("never_stops")) app.on_stop([]() -> Task<void> { co_await sleep_for(1h); });
  app.every(20ms, [] { log::info("hook: periodic"); });
  app.get("/background", background);
  app.get("/endless", endless);
}
