// error: state<T>() takes a function that returns T or Task<T>
#include <pronghorn/pronghorn.h>

#include <memory>
using namespace pronghorn;

struct Shop {};

PRONGHORN_APP(app) {
  app.state<Shop>([] { return std::make_unique<Shop>(); });
}
