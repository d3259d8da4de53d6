// A rate limit that holds over all workers and machines.
#include <pronghorn/json.h>

#include "demo.h"

namespace demo {

using namespace pronghorn;

void add_limit_routes(App& app) {
  app.get("/limited", [](Request&) { return json_response({{"allowed", true}}); }).limit(per_client(10, seconds(10)));
}

}  // namespace demo
