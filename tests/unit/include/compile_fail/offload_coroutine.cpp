// error: offload() takes a function that blocks, and this is a coroutine: co_await it without offload()
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

Task<void> remember(std::string what);

Task<Response> action(Request& request) {
  co_await offload(remember, std::string(request.id()));
  co_return no_content();
}
