// Rate limits, exact across all workers and machines.
#include <pronghorn/json.h>
#include <pronghorn/timer.h>

#include <chrono>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Response allowed(Request&) { return json_response({{"allowed", true}}); }

// ?ms= how long it takes
Task<Response> takes_time(Request& request) {
  co_await sleep_for(std::chrono::milliseconds(request.query<std::uint32_t>("ms").value_or(0)));
  co_return json_response({{"allowed", true}});
}

}  // namespace

void add_limit_routes(App& app) {
  const Limit ten = per_client(10, 10s);
  app.get("/limited", allowed).limit(ten);
  app.get("/limited/fixed", allowed).limit(ten);
  app.get("/limited/sliding", allowed).limit(Limit(ten).sliding());
  app.get("/limited/bucket", allowed).limit(Limit(ten).bucket());
  app.get("/limited/gcra", allowed).limit(Limit(ten).gcra());
  app.get("/limited/concurrent", takes_time).limit(per_client(2, 1min).concurrent());
}

}  // namespace demo
