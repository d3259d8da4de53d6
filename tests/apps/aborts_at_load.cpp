// Aborts the process while it is being loaded, before any of its functions can be called.
#include <pronghorn/pronghorn.h>

#include <cstdlib>

namespace {

extern "C" [[gnu::noinline]] void f() { std::abort(); }  // its name is also that of a type when it is mangled

struct Aborts {
  Aborts() { f(); }
} const aborts;

}  // namespace

PRONGHORN_APP(app) { static_cast<void>(app); }
