// error: a guard that uses co_await or co_return returns Task<std::optional<Response>>
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

std::optional<Response> guard(Request& request) {
  Session session = co_await request.session();
  co_return std::nullopt;
}
