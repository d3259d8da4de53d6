// The application for tests of rollouts: its behaviour depends on the configuration. [app] settings:
//   fail_percent  of the requests to / that are answered 500
//   delay_ms      of each request to /
//   block_ms      for which each request to / blocks the event loop
//   start_ms      until a worker is ready
//   end_in_slot   this slot's workers end as soon as they start
#include <pronghorn/pronghorn.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

unsigned requests = 0;
int fail_percent = 0;
int delay_ms = 0;
int block_ms = 0;
int start_ms = 0;
int end_in_slot = -1;

Task<void> begin(Worker& worker) {
  co_await sleep_for(std::chrono::milliseconds(start_ms + 1));
  if (static_cast<int>(worker.slot()) == end_in_slot) std::_Exit(9);
}

Task<Response> root(Request&) {
  if (delay_ms > 0) co_await sleep_for(std::chrono::milliseconds(delay_ms));
  std::this_thread::sleep_for(std::chrono::milliseconds(block_ms));
  if (static_cast<int>(requests++ % 100) < fail_percent) throw HttpError(500, "made to fail");
  co_return text("fine");
}

}  // namespace

PRONGHORN_APP(app) {
  const auto number = [&app](const char* name, const char* otherwise) {
    return std::stoi(std::string(app.settings().get(name).value_or(otherwise)));
  };
  fail_percent = number("fail_percent", "0");
  delay_ms = number("delay_ms", "0");
  block_ms = number("block_ms", "0");
  start_ms = number("start_ms", "0");
  end_in_slot = number("end_in_slot", "-1");
  app.on_start(begin);
  app.get("/", root);
  app.get("/slow", [](Request& request) -> Task<Response> {
    co_await sleep_for(std::chrono::milliseconds(request.query<int>("ms").value_or(0)));
    co_return text("slow");
  });
}
