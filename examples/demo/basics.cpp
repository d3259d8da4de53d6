// Requests that are answered at once, and one that echoes its body.
#include <pronghorn/json.h>

#include "demo.h"

namespace demo {

using namespace pronghorn;

namespace {

Response hello(Request&) { return text("Hello, World!"); }

Response message(Request&) { return json_response({{"message", "Hello, World!"}}); }

Response user(Request& request) {
  const auto id = request.param<std::int64_t>("id");  // 400 if it is not a number
  return json_response({{"id", id}});
}

Task<Response> echo(Request& request) {
  const std::string_view body = co_await request.body();
  co_return bytes(std::string(body), request.header("Content-Type").value_or("application/octet-stream"));
}

}  // namespace

void add_basic_routes(App& app) {
  app.get("/hello", hello);
  app.get("/json", message);
  app.get("/users/{id}", user);
  app.post("/echo", echo);
}

}  // namespace demo
