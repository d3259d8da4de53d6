// Allocates memory on request, and responds with the pid of its process.
#include <pronghorn/pronghorn.h>
#include <unistd.h>

#include <string>
#include <vector>

using namespace pronghorn;

namespace {

std::vector<std::string> kept;

Response grow(Request& request) {
  const auto size = static_cast<std::size_t>(request.query<int>("mib").value_or(1)) << 20;
  kept.emplace_back(size, 'x');  // written, so resident
  return text(std::to_string(::getpid()));
}

}  // namespace

PRONGHORN_APP(app) {
  app.get("/", [](Request&) { return text(std::to_string(::getpid())); });
  app.post("/grow", grow);
}
