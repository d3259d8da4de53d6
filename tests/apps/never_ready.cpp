#include <pronghorn/pronghorn.h>

#include <chrono>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<void> wait_for_ever(Worker&) { co_await sleep_for(24h); }

}  // namespace

PRONGHORN_APP(app) { app.on_start(wait_for_ever); }
