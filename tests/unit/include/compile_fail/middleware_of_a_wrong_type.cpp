// error: middleware is optional<Response>(Request&), Task<Response>(Request&, Next) or
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

PRONGHORN_APP(app) {
  app.use([](Request&) { return true; });
}
