// error: GCC 12 destroys this lambda
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Task<Response> digest(Request& request) {
  const std::string_view body = co_await request.body();
  const std::size_t size = co_await offload([text = std::string(body)] { return text.size(); });
  co_return text(std::to_string(size));
}
