// Marks every response that passes through the error hook and the after middleware. With the setting hook = "waits"
// both are coroutines.
#include <pronghorn/middleware.h>
#include <pronghorn/pronghorn.h>

#include <chrono>
#include <cstdlib>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Response sorry(const ErrorAnswer& error) { return text("sorry: " + error.detail, error.status); }

}  // namespace

PRONGHORN_APP(app) {
  app.use(cors({.origins = {"https://shop.example"}}));
  app.use(security_headers());
  if (app.settings().get("hook") == "waits") {
    app.use([](Request&, Response& response) -> Task<void> {
      co_await sleep_for(1ms);
      response.set("X-After", "waited");
    });
    app.on_error([](Request&, const ErrorAnswer& error) -> Task<Response> {
      co_await sleep_for(1ms);
      co_return sorry(error);
    });
  } else {
    app.on_error([](Request&, const ErrorAnswer& error) { return sorry(error); });
  }
  app.get("/", [](Request&) { return text("alive"); });
  app.post("/body", [](Request& request) -> Task<Response> { co_return text(std::string(co_await request.body())); })
      .max_body(100);
  app.post("/unread", [](Request&) -> Task<Response> {
    co_await sleep_for(1h);
    co_return text("never");
  });
  app.get("/kill", [](Request&) -> Response { std::abort(); });
}
