// Ends the process while it is loaded, before anything can be asked of it.
#include <pronghorn/pronghorn.h>

#include <cstdlib>

namespace {

struct Aborts {
  Aborts() { std::abort(); }
} const aborts;

}  // namespace

PRONGHORN_APP(app) { static_cast<void>(app); }
