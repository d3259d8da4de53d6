// Serves the folder that the environment names, and a stream that is compressed while it goes on.
#include <pronghorn/pronghorn.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<void> tick(Writer& out) {
  for (int i = 0; i < 1000; ++i) {
    co_await out.write("tick " + std::to_string(i) + "\n");
    co_await sleep_for(i == 0 ? 1ms : 1h);
  }
}

}  // namespace

PRONGHORN_APP(app) {
  const char* const folder = std::getenv("FILES_FOLDER");
  if (folder == nullptr) throw std::invalid_argument("FILES_FOLDER is not set");
  app.serve_files("/files", folder);
  auto compressed = app.group("/compressed");
  compressed.use(compression());
  compressed.get("/ticks", [](Request&) { return stream("text/plain", tick); });
  compressed.get("/endless", [](Request&) {
    return stream("text/plain", [](Writer& out) -> Task<void> {
      for (std::uint32_t i = 0;; i = i * 1664525 + 1013904223) co_await out.write(std::to_string(i));
    });
  });
}
