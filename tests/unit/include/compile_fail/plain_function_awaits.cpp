// error: a handler that uses co_await or co_return returns Task<Response>, not Response
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Response visits(Request& request) {
  Session session = co_await request.session();
  co_return text(session.get("visits").value_or("0"));
}
