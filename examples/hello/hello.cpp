// The smallest application. Built as hello.so; `pronghorn serve hello.so` runs it.
#include <pronghorn/pronghorn.h>

using namespace pronghorn;

PRONGHORN_APP(app) {
  app.get("/", [](Request&) { return text("Hello, World!\n"); });
  app.get("/hello/{name}",
          [](Request& request) { return text("Hello, " + request.param<std::string>("name") + "!\n"); });
}
