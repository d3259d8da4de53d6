#include "server/commands/status/list_views.h"

#include <nlohmann/json.hpp>

#include "support/catch.h"

using nlohmann::json;
using pronghorn::server::requests_table;

TEST_CASE("sockets are listed behind the requests", "[list_views]") {
  const json request{{"slot", 0}, {"state", "waiting"}, {"request", "GET /slow"}, {"age_ms", 1500}};
  const json socket{{"slot", 1},        {"state", "socket"},        {"request", "WEBSOCKET /rooms/{room}"},
                    {"age_ms", 90'000}, {"route", "/rooms/{room}"}, {"client", "192.0.2.7"},
                    {"id", "ab12"},     {"queued_bytes", 2048},     {"topics", {"room:a", "room:\u001b[2J"}},
                    {"topic_count", 5}};
  const std::string both = requests_table({{"requests", {request, socket}}});
  CAPTURE(both);
  for (const char* text :
       {"GET /slow", "1.5s", "90.0s", "2.0K", "/rooms/{room}", "192.0.2.7", "ab12", "room:a", "+3"}) {
    CAPTURE(text);
    CHECK(both.find(text) != std::string::npos);
  }
  CHECK(both.find("WEBSOCKET") == std::string::npos);
  CHECK(both.find('\x1b') == std::string::npos);
  CHECK(both.find("GET /slow") < both.find("/rooms/{room}"));
  CHECK(requests_table({{"requests", {socket}}}).starts_with("no requests are in flight\n"));
  CHECK(requests_table({{"requests", json::array()}}) == "no requests are in flight\n");
  CHECK_FALSE(requests_table({{"requests", {{{"state", "socket"}}}}}).empty());
}
