// error: a handler that uses co_await or co_return returns Task<Response>, not Response
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

PRONGHORN_APP(app) {
  app.get("/", [](Request& request) -> Response {
    const auto body = co_await request.body();
    co_return text(std::string(body));
  });
}
