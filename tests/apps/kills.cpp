// A route whose every request kills its worker.
#include <pronghorn/pronghorn.h>

#include <cstdlib>

using namespace pronghorn;

PRONGHORN_APP(app) {
  app.get("/", [](Request&) { return text("alive"); });
  app.get("/kill/{word}", [](Request&) -> Response { std::abort(); });
}
