// error: the producer of a stream returns Task<void>
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Response lines(Request&) {
  return stream("text/plain", [](Writer& out) -> void { co_await out.write("line\n"); });
}
