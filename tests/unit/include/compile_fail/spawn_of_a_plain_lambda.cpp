// error: spawn() takes a Task<void>, or a function that returns one: []() -> Task<void> { ... }
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Response remember(Request&) {
  spawn([] { log::info("remembered"); });
  return no_content();
}
