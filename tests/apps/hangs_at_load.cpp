// Never returns while it is being loaded.
#include <pronghorn/pronghorn.h>
#include <unistd.h>

namespace {

struct Hangs {
  Hangs() {
    for (;;) ::pause();
  }
} const hangs;

}  // namespace

PRONGHORN_APP(app) { static_cast<void>(app); }
