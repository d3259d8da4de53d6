// error: state<T>() takes a function that returns T or Task<T>
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

struct Shop {};

PRONGHORN_APP(app) {
  app.state<Shop>([](Request&) { return Shop(); });
}
