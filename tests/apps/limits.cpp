// Rate limits whose windows do not end during a test.
#include <pronghorn/pronghorn.h>
#include <pronghorn/timer.h>

#include <chrono>
#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Response ok(Request&) { return text("ok"); }

// Waits for ?ms=, but only in the first worker that runs it: a request that is run again answers at once.
Task<Response> slow(Request& request) {
  const std::string id = request.query("id").value_or("");
  const Reply runs = co_await request.redis().command("INCR", "runs:" + id);
  if (runs.integer() == 1) co_await sleep_for(60s);
  co_await sleep_for(std::chrono::milliseconds(request.query<std::uint32_t>("ms").value_or(0)));
  co_return text("ok");
}

}  // namespace

PRONGHORN_APP(app) {
  app.get("/leased", ok).limit(per_client(400, 24h).leased(20));
  app.get("/slow", slow).limit(per_client(2, 24h).concurrent());
  app.get("/free", ok).limit(per_client(2, 24h).concurrent());
  app.get("/shadow", ok).limit(per_client(3, 24h).named("trial").shadow());
}
