// A static object that takes long to destroy, as one with much memory does.
#include <pronghorn/pronghorn.h>

#include <chrono>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

struct Slow {
  ~Slow() {
    const auto end = std::chrono::steady_clock::now() + 600ms;
    while (std::chrono::steady_clock::now() < end) {
    }
  }
};
const Slow slow;

}  // namespace

PRONGHORN_APP(app) {
  app.get("/", [](Request&) { return text("alive"); });
}
