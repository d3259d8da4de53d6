// A route whose every request kills its worker.
#include <pronghorn/pronghorn.h>

#include <cstdlib>
#include <string>

using namespace pronghorn;

PRONGHORN_APP(app) {
  app.get("/", [](Request&) { return text("alive"); });
  app.get("/slot", [](Request& request) { return text(std::to_string(request.worker().slot())); });
  app.get("/kill/{word}", [](Request&) -> Response { std::abort(); });
}
