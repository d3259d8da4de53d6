// Responds with the client that it sees: "address port scheme host", and with the subject of its certificate.
#include <pronghorn/pronghorn.h>

using namespace pronghorn;

namespace {

Response origin(Request& request) {
  std::string line = request.client().address + " " + std::to_string(request.client().port) + " ";
  line.append(request.scheme()).append(" ").append(request.host());
  return text(line);
}

Response whom(Request& request) {
  const ClientCertificate* const certificate = request.client_certificate();
  return text(certificate != nullptr ? certificate->subject + " " + certificate->fingerprint : "nobody");
}

}  // namespace

PRONGHORN_APP(app) {
  app.get("/origin", origin);
  app.get("/whom", whom);
}
