// error: GCC 12 destroys this lambda
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Task<Response> digest(Request& request) {
  const std::string text_of_body(co_await request.body());
  const std::size_t size =
      co_await offload(std::function<std::size_t()>([text_of_body] { return text_of_body.size(); }));
  co_return text(std::to_string(size));
}
