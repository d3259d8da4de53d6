// error: the key of a limit is std::string(Request&) or Task<std::string>(Request&)
#include <pronghorn/pronghorn.h>
using namespace pronghorn;

PRONGHORN_APP(app) {
  app.get("/", [](Request&) { return text("hello"); }).limit(per_key(10, std::chrono::seconds(1), [](Request& request) {
    return request.header("X-Shop");
  }));
}
