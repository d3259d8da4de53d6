// The application for tests of what is run twice, or not at all: each POST to / makes the file $COUNTS_FILE one byte
// longer. A GET to / counts nothing. Both answer ?ms= milliseconds after the request has arrived whole.
#include <fcntl.h>
#include <pronghorn/pronghorn.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

using namespace pronghorn;

namespace {

Task<void> arrived_and_waited(Request& request) {
  co_await request.body();
  const auto ms = request.query<int>("ms").value_or(0);
  if (ms > 0) co_await sleep_for(std::chrono::milliseconds(ms));
}

}  // namespace

PRONGHORN_APP(app) {
  const int file = ::open(std::getenv("COUNTS_FILE"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  app.post("/",
           [file](Request& request) -> Task<Response> {
             co_await arrived_and_waited(request);
             if (::write(file, "x", 1) != 1) throw HttpError(500, "not counted");
             co_return text("counted");
           })
      .max_body(2_MiB);
  app.get("/", [](Request& request) -> Task<Response> {
    co_await arrived_and_waited(request);
    co_return text("not counted");
  });
}
