// error: a hook is void(Worker&) or Task<void>(Worker&)
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

PRONGHORN_APP(app) {
  app.on_start([](Request&) {});
}
