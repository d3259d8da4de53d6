// Pronghorn in a program with its own main(): no plugin, one executable that is the whole server.
//
//   embedded serve --listen 127.0.0.1:8080     the same commands and options as the pronghorn program
//   embedded routes
#include <pronghorn/json.h>
#include <pronghorn/pronghorn.h>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<Response> hits(Request& request) {
  Session session = co_await request.session();
  const auto count = co_await session.increment("hits");
  co_return json_response({{"hits", count}});
}

void setup(App& app) {
  app.get("/", [](Request&) { return text("Hello from a program of my own\n"); });
  app.get("/hits", hits).limit(per_client(100, 1min));
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, setup); }
