// error: co_await is missing: this is a Task, not the result of one
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Task<Response> visits(Request& request) {
  Session session = request.session();
  co_return text(session.get("visits").value_or("0"));
}
