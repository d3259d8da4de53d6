#include <pronghorn/pronghorn.h>

#include <stdexcept>

using namespace pronghorn;

namespace {

Task<void> fail(Worker&) {
  throw std::runtime_error("the warehouse does not answer");
  co_return;
}

}  // namespace

PRONGHORN_APP(app) {
  app.on_start(fail);
  app.get("/hello", [](Request&) { return text("never"); });
}
