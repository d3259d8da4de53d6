// The application for tests of what is run twice: each POST to / makes the file $COUNTS_FILE one byte longer.
#include <fcntl.h>
#include <pronghorn/pronghorn.h>
#include <unistd.h>

#include <cstdlib>

using namespace pronghorn;

PRONGHORN_APP(app) {
  const int file = ::open(std::getenv("COUNTS_FILE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  app.post("/", [file](Request&) {
    if (::write(file, "x", 1) != 1) throw HttpError(500, "not counted");
    return text("counted");
  });
  app.get("/", [](Request&) { return text("POST is counted"); });
}
