// An application whose static destructors end the process with SIGABRT: its global thread is never joined.
#include <pronghorn/pronghorn.h>
#include <unistd.h>

#include <thread>

using namespace pronghorn;

namespace {

std::thread background([] {
  for (;;) ::pause();
});

}  // namespace

PRONGHORN_APP(app) {
  app.get("/", [](Request&) { return text("served"); });
}
