// Responds with the client that it sees: "address port scheme host".
#include <pronghorn/pronghorn.h>

using namespace pronghorn;

namespace {

Response origin(Request& request) {
  std::string line = request.client().address + " " + std::to_string(request.client().port) + " ";
  line.append(request.scheme()).append(" ").append(request.host());
  return text(line);
}

}  // namespace

PRONGHORN_APP(app) { app.get("/origin", origin); }
