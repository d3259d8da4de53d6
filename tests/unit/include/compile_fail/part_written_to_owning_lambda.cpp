// error: GCC 12 destroys this lambda
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Task<Response> upload(Request& request) {
  auto text_of_part = std::make_shared<std::string>();
  Multipart form = co_await request.multipart();
  auto part = co_await form.next();
  co_await part->write_to([text_of_part](std::string_view piece) { *text_of_part += piece; });
  co_return text(*text_of_part);
}
