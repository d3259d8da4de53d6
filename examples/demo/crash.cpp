// Everything that can go wrong in a handler: the supervisor replaces the worker while the others go on serving.
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "demo.h"

namespace demo {

using namespace pronghorn;

namespace {

constexpr int kExitStatus = 7;  // easy to recognise in the log and in /status

// Overflows the stack. The frame is used after the call, so that no optimiser turns the recursion into a loop.
std::size_t descend(std::size_t depth) {
  volatile char frame[4096];
  frame[depth % sizeof frame] = 1;
  return depth == SIZE_MAX ? 0 : descend(depth + 1) + static_cast<std::size_t>(frame[depth % sizeof frame]);
}

Response crash(Request& request) {
  const std::string how = request.query("how").value_or("segv");
  if (how == "segv") {
    std::raise(SIGSEGV);
  } else if (how == "abort") {
    std::abort();
  } else if (how == "exit") {
    std::_Exit(kExitStatus);
  } else if (how == "overflow") {
    return text(std::to_string(descend(0)));
  } else if (how == "hang") {
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));  // until the watchdog kills the worker
  } else if (how == "throw") {
    throw std::runtime_error("thrown on purpose");  // affects this request alone: a 500
  }
  throw bad_request("how is one of segv, abort, overflow, throw, exit, hang");
}

}  // namespace

void add_crash_routes(App& app) { app.post("/crash", crash); }

}  // namespace demo
