// error: spawn() takes a Task<void>, or a function that returns one: []() -> Task<void> { ... }
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Task<int> count();

Response remember(Request&) {
  spawn(count());
  return no_content();
}
