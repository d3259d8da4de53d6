// error: a hook that uses co_await or co_return returns Task<void>
#include <pronghorn/pronghorn.h>
using namespace pronghorn;
using namespace std::chrono_literals;

PRONGHORN_APP(app) {
  app.on_start([](Worker&) -> void { co_await sleep_for(1ms); });
}
