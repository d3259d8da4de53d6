// error: a handler is Response(Request&) or Task<Response>(Request&)
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

PRONGHORN_APP(app) {
  app.get("/", [] { return text("hello"); });
}
