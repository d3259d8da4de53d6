// What surrounds a body: early hints before the response, trailers after it.
#include <pronghorn/pronghorn.h>

#include <chrono>
#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<Response> hinted(Request& request) {
  request.early_hints({"</style.css>; rel=preload; as=style", "</script.js>; rel=preload; as=script"});
  co_await sleep_for(10ms);
  co_return text("done");
}

Task<Response> read_trailer(Request& request) {
  const bool before = request.trailer("x-sum").has_value();
  while (co_await request.read()) {
  }
  std::string seen = before ? "early " : "";
  seen += request.trailer("x-sum").value_or("none");
  seen += request.header("x-sum") ? " mixed" : "";
  co_return text(seen);
}

Response summed(Request&) {
  return stream("text/plain",
                [](Writer& out) -> Task<void> {
                  co_await out.write("some text");
                  out.trailer("X-Sum", "9");
                })
      .set("Trailer", "X-Sum");
}

}  // namespace

PRONGHORN_APP(app) {
  app.get("/hinted", hinted);
  app.post("/trailer", read_trailer);
  app.get("/summed", summed);
}
