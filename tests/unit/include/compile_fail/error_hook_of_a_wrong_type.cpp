// error: on_error takes Response(Request&, const ErrorAnswer&)
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

PRONGHORN_APP(app) {
  app.on_error([](Request&) { return text("error"); });
}
