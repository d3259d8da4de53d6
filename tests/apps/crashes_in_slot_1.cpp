// Works in every slot, except that while the file named by CRASH_MARKER exists, a worker of slot 1 exits when it
// starts: a crash loop beside healthy workers.
#include <pronghorn/pronghorn.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

unsigned slot = 0;

Task<void> maybe_end(Worker& worker) {
  slot = worker.slot();
  co_await sleep_for(20ms);
  const char* marker = std::getenv("CRASH_MARKER");
  if (slot == 1 && marker != nullptr && std::filesystem::exists(marker)) std::_Exit(9);
}

}  // namespace

PRONGHORN_APP(app) {
  app.on_start(maybe_end);
  app.get("/", [](Request&) { return text("slot " + std::to_string(slot)); });
}
