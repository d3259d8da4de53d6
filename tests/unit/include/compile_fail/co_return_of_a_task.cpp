// error: co_await is missing: this is a Task, not the result of one
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Task<Response> inner(Request&) { co_return text("hello"); }
Task<Response> outer(Request& request) { co_return inner(request); }
