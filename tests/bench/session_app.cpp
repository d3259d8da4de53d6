// What the benchmark asks of Pronghorn: the smallest answer, and one that needs a rate limit and a session in Redis.
#include <pronghorn/json.h>
#include <pronghorn/pronghorn.h>
#include <unistd.h>

using namespace pronghorn;

namespace {

Response hello(Request&) { return text("Hello, World!"); }

Task<Response> session(Request& request) {
  Session session = co_await request.session();
  const auto visits = co_await session.increment("visits");
  co_return json({{"visits", visits}});
}

// Which worker a connection belongs to.
Response which_worker(Request&) { return json({{"pid", ::getpid()}}); }

}  // namespace

PRONGHORN_APP(app) {
  app.get("/", hello);
  app.get("/worker", which_worker);
  app.get("/session", session).limit(per_client(10'000'000, minutes(1)));
}
