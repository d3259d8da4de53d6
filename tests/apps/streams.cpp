// Bodies that do not end by themselves, for clients that disconnect, are slow, or are disconnected.
#include <pronghorn/json.h>
#include <pronghorn/pronghorn.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

int running = 0;            // producers and handlers that have not ended
std::uint64_t written = 0;  // bytes that a flood has sent; of two branches, those of the slower
bool released = false;      // whether /hold may continue

struct Running {
  Running() { ++running; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { --running; }
};

// Writes once and then never again.
Task<void> fall_silent(Writer& out) {
  const Running counted;
  co_await out.write("begin\n");
  co_await sleep_for(1h);
}

Task<void> flood(Writer& out) {
  const Running counted;
  const std::string piece(16'000, 'x');
  for (;;) {
    co_await out.write(piece);
    written += piece.size();
  }
}

Task<void> flood_branch(Writer& out, std::uint64_t& own, const std::uint64_t& other) {
  const std::uint64_t before = written;
  const std::string piece(16'000, 'x');
  for (;;) {
    co_await out.write(piece);
    own += piece.size();
    written = before + std::min(own, other);
  }
}

// Two branches that write to one client.
Task<void> flood_twice(Writer& out) {
  const Running counted;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  co_await when_all(flood_branch(out, first, second), flood_branch(out, second, first));
}

Task<void> tick(EventWriter& out, int first) {
  const Running counted;
  for (int n = first;; ++n) {
    co_await out.send({.event = "tick", .data = std::to_string(n), .id = std::to_string(n)});
    co_await sleep_for(20ms);
  }
}

Task<void> flood_events(EventWriter& out) {
  const Running counted;
  const std::string data(16'000, 'x');
  co_await sleep_for(5ms);  // so that no write is part of sending the response
  for (;;) {
    co_await out.send({.data = data});
    written += data.size();
  }
}

Task<void> silent_events(EventWriter&) {
  const Running counted;
  co_await sleep_for(1h);
}

Response ticks(Request& request) {
  const std::string seen(request.last_event_id());
  const int first = seen.empty() ? 1 : std::stoi(seen) + 1;
  return events([first](EventWriter& out) { return tick(out, first); });
}

// Reads one piece of a file and then nothing more until /release.
Task<Response> hold(Request& request) {
  const Running counted;
  Multipart form = co_await request.multipart();
  auto part = co_await form.next();
  std::uint64_t size = 0;
  while (const auto piece = co_await part->read()) {
    size += piece->size();
    while (!released) co_await sleep_for(5ms);
  }
  co_return json_response({{"name", part->name()}, {"size", size}});
}

Task<void> fail(Writer& out) {
  co_await out.write("part");
  throw std::runtime_error("the database is away");
}

}  // namespace

PRONGHORN_APP(app) {
  app.get("/fails", [](Request&) { return stream("text/plain", fail); });
  app.get("/silent", [](Request&) { return stream("text/plain", fall_silent); });
  app.get("/flood", [](Request&) { return stream("text/plain", flood); });
  app.get("/flood-twice", [](Request&) { return stream("text/plain", flood_twice); });
  app.get("/ticks", ticks);
  app.get("/flood-events", [](Request&) { return events(flood_events); });
  app.get("/silent-events", [](Request&) { return events(silent_events); });
  app.get("/heartbeats", [](Request&) { return events(silent_events, 20ms); });
  app.post("/hold", hold).max_body(1_GiB).deadline(1min);
  app.post("/release", [](Request&) {
    released = true;
    return no_content();
  });
  app.get("/facts", [](Request&) { return json_response({{"running", running}, {"written", written}}); });
}
