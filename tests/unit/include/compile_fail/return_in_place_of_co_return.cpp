// error: a function that returns a Task is a coroutine: use co_return, not return
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Task<Response> hello(Request&) { return text("hello"); }
