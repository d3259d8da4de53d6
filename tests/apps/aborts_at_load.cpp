// Aborts the process while it is being loaded, before any of its functions can be called.
#include <pronghorn/pronghorn.h>

#include <cstdlib>

namespace {

struct Aborts {
  Aborts() { std::abort(); }
} const aborts;

}  // namespace

PRONGHORN_APP(app) { static_cast<void>(app); }
