// The application that the benchmark runs in Pronghorn.
//
//   BENCH_FILES=DIR    serves that folder at /files
//   BENCH_ROUTES=N     adds N routes, among them GET /api/items57/{id}
#include <pronghorn/json.h>
#include <pronghorn/pronghorn.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Response hello(Request&) { return text("Hello, World!"); }

Task<Response> hello_without_waiting(Request&) { co_return text("Hello, World!"); }

Task<Response> session(Request& request) {
  Session session = co_await request.session();
  const auto visits = co_await session.increment("visits");
  co_return json_response({{"visits", visits}});
}

// From the worker's own copy of what the cache has.
Task<Response> local_copy(Request& request) {
  std::string body = co_await request.cache().get_or_fill("hello", {.ttl = 24h, .local = true},
                                                          [] { return std::string("Hello, World!"); });
  co_return text(std::move(body));
}

Task<Response> upload(Request& request) {
  std::uint64_t size = 0;
  while (auto chunk = co_await request.read()) size += chunk->size();
  co_return text(std::to_string(size));
}

// Tells which worker a connection belongs to.
Response which_worker(Request&) { return json_response({{"pid", ::getpid()}}); }

// Five routes per resource; the benchmark requests the first.
void add_routes(App& app, int count) {
  for (int i = 0; i < count / 5; ++i) {
    const std::string all = "/api/items" + std::to_string((57 + i) % 100);
    const std::string one = all + "/{id}";
    app.get(all, hello);
    app.post(all, hello);
    app.get(one, hello);
    app.put(one, hello);
    app.del(one, hello);
  }
}

}  // namespace

PRONGHORN_APP(app) {
  app.get("/", hello);
  app.get("/plain", hello);
  app.get("/async", hello_without_waiting);
  app.get("/worker", which_worker);
  app.get("/session", session).limit(per_client(10'000'000, 1min));
  app.get("/limit", hello).limit(per_client(10'000'000, 1h));
  app.get("/limit/leased", hello).limit(per_client(10'000'000, 1h).leased(10'000));
  app.get("/cached", local_copy);
  app.post("/upload", upload).max_body(0);
  if (const char* folder = std::getenv("BENCH_FILES")) app.serve_files("/files", folder);
  if (const char* routes = std::getenv("BENCH_ROUTES")) add_routes(app, std::atoi(routes));
}
