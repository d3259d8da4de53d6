// error: a handler is Response(Request&) or Task<Response>(Request&)
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

PRONGHORN_APP(app) {
  app.get("/", [](Request&) { return std::string("hello"); });
}
