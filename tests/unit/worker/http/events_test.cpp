// Server-sent events, as a client gets them.
#include "pronghorn/events.h"

#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

int running = 0;  // producers of /endless

struct Running {
  Running() { ++running; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { --running; }
};

Task<void> count_from(EventWriter& out, int first) {
  const Running counted;
  for (int n = first;; ++n) {
    co_await out.send({.event = "tick",
                       .data = "a text that is too long for a short string " + std::to_string(n),
                       .id = std::to_string(n)});
    co_await sleep_for(1ms);
  }
}

Task<void> every_kind(EventWriter& out) {
  co_await out.send({.data = "plain"});
  co_await out.send({.event = "typed"});
  co_await out.send({.data = "one\ntwo\r\nthree\rfour\n", .id = "7"});
  co_await out.send({.retry = 2500ms});
  co_await out.send({.event = "e", .data = "d", .id = "i", .retry = 1s});
}

Response refused(Request& request) {
  const std::string kind(request.param("kind"));
  return events([kind](EventWriter& out) -> Task<void> {
    ServerSentEvent event{.data = "x"};
    if (kind == "event") event.event = "a\nb";
    if (kind == "id") event.id = "a\rb";
    if (kind == "nul") event.id = std::string_view("a\0b", 3);
    if (kind == "retry") event.retry = -1ms;
    std::string outcome = "sent";
    try {
      co_await out.send(event);
    } catch (const std::invalid_argument&) {
      outcome = "refused";
    }
    co_await out.send({.event = outcome});
  });
}

void setup(App& app) {
  app.get("/every-kind", [](Request&) { return events(every_kind); });
  app.get("/endless", [](Request& request) {
    const std::string seen(request.last_event_id());
    const int first = seen.empty() ? 1 : std::stoi(seen) + 1;
    return events([first](EventWriter& out) { return count_from(out, first); });
  });
  app.get("/refused/{kind}", refused);
  app.get("/silent", [](Request& request) {
    const auto heartbeat = std::chrono::milliseconds(request.query<int>("ms").value_or(2));
    return events([](EventWriter&) -> Task<void> { co_await sleep_for(50ms); }, heartbeat);
  });
  app.get("/no-pause", [](Request&) {
    return events([](EventWriter& out) -> Task<void> {
      for (;;) co_await out.send({.data = "x"});
    });
  });
  app.get("/text", [](Request&) { return text("no events"); });
}

}  // namespace

TEST_CASE("events are written as the HTML standard says", "[events]") {
  TestClient client(setup);
  const auto answer = client.get("/every-kind");
  CHECK(answer.status == 200);
  CHECK(answer.header("Content-Type") == "text/event-stream");
  CHECK(answer.header("Cache-Control") == "no-cache");
  CHECK(answer.header("X-Accel-Buffering") == "no");
  CHECK(answer.body ==
        "data: plain\n\n"
        "event: typed\ndata: \n\n"
        "id: 7\ndata: one\ndata: two\ndata: three\ndata: four\ndata: \n\n"
        "retry: 2500\n\n"
        "retry: 1000\nid: i\nevent: e\ndata: d\n\n");
}

TEST_CASE("a line break or NUL in an event's type or id, and a negative retry, are refused", "[events]") {
  TestClient client(setup);
  for (const std::string kind : {"event", "id", "nul", "retry"}) {
    CAPTURE(kind);
    CHECK(client.get("/refused/" + kind).body == "event: refused\ndata: \n\n");
  }
}

TEST_CASE("TestClient reads the requested number of events of an endless stream, then disconnects", "[events]") {
  TestClient client(setup);
  const auto events = client.events("/endless", 3);
  REQUIRE(events.size() == 3);
  CHECK(events[2].event == "tick");
  CHECK(events[2].data == "a text that is too long for a short string 3");
  CHECK(events[2].id == "3");
  CHECK(running == 0);
  CHECK(client.events("/endless", 1, {{"Last-Event-ID", "41"}}).at(0).id == "42");
  const auto all = client.events("/every-kind", 100);
  REQUIRE(all.size() == 5);
  CHECK(all[2].data == "one\ntwo\nthree\nfour\n");
  CHECK(client.events("/no-pause", 2).size() == 2);
  CHECK_THROWS_AS(client.events("/text", 1), std::runtime_error);
}

TEST_CASE("a silent stream of events sends comments, unless it is told not to", "[events]") {
  TestClient client(setup);
  const std::string beats = client.get("/silent?ms=2").body;
  CHECK(beats.starts_with(":\n\n:\n\n:\n\n"));
  CHECK(client.get("/silent?ms=0").body.empty());
}
