#include "worker/routing/routes_listing.h"

#include "pronghorn/pronghorn.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;

TEST_CASE("the routes of an application are listed with their options", "[routes]") {
  const Config config;
  const std::string table = worker::list_routes(config, [](App& app) {
    app.get("/hello", [](Request&) { return text(""); });
    auto api = app.group("/api");
    api.post("/login", [](Request&) { return text(""); })
        .limit(per_client(5, 1min))
        .limit(per_key(10, 500ms, [](Request&) { return std::string(); }).bucket())
        .max_body(4_KiB)
        .deadline(1500ms)
        .name("login");
    api.use([](Request&, Response&) {});
    app.post("/orders", [](Request&) { return text(""); }).idempotent({.required = true});
    app.get("/news", [](Request&) { return text(""); }).cached({.ttl = 1min, .stale = 30s});
    app.get("/feed", [](Request&) { return text(""); }).cached({});
    app.put("/any", [](Request&) { return text(""); }).max_body(0).deadline(0ms).priority(Priority::critical);
  });
  CHECK(table ==
        "METHOD  PATH        LIMIT                                 DEADLINE  MAX BODY  IDEMPOTENT    CACHED      "
        "PRIORITY  MIDDLEWARE  NAME\n"
        "GET     /hello      -                                     1m        1MiB      -             -           "
        "normal    0\n"
        "POST    /api/login  5 per 1m, 10 per 500ms bucket by key  1500ms    4KiB      -             -           "
        "normal    1           login\n"
        "POST    /orders     -                                     1m        1MiB      24h required  -           "
        "normal    0\n"
        "GET     /news       -                                     1m        1MiB      -             1m + 30s    "
        "normal    0\n"
        "GET     /feed       -                                     1m        1MiB      -             as it says  "
        "normal    0\n"
        "PUT     /any        -                                     none      any       -             -           "
        "critical  0\n");
}

TEST_CASE("WebSockets are listed as such, with their largest message", "[routes]") {
  const std::string table = worker::list_routes(
      Config(), [](App& app) { app.websocket("/rooms/{room}", {}).max_message(64_KiB).deadline(5s); });
  CHECK(table.find("WEBSOCKET  /rooms/{room}  -      5s        64KiB") != std::string::npos);
}

TEST_CASE("an application without routes says so", "[routes]") {
  CHECK(worker::list_routes(Config(), [](App&) {}) == "The application has no routes.\n");
}
