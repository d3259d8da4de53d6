// Bodies that are never held whole in memory, in both directions.
#include <pronghorn/json.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<void> write_lines(Writer& out, std::uint32_t count, std::chrono::milliseconds pause) {
  for (std::uint32_t line = 1; line <= count; ++line) {
    if (line > 1) co_await sleep_for(pause);
    co_await out.write("line " + std::to_string(line) + "\n");  // waits for a client that reads slowly
  }
}

// /stream?n=10 answers ten lines; with &ms=200 it takes a breath of 200 ms between two of them.
Response lines(Request& request) {
  const auto count = request.query<std::uint32_t>("n").value_or(10);
  const std::chrono::milliseconds pause(request.query<std::uint16_t>("ms").value_or(0));
  return stream("text/plain; charset=utf-8", [count, pause](Writer& out) { return write_lines(out, count, pause); });
}

Task<Response> upload(Request& request) {
  Sha256 hash;
  std::uint64_t size = 0;
  while (const auto piece = co_await request.read()) {  // the client is held back while this is busy
    hash.update(*piece);
    size += piece->size();
  }
  co_return json_response({{"size", size}, {"sha256", hash.hex()}});
}

// A form with files: what was sent, part by part, each hashed as it arrives.
Task<Response> attachments(Request& request) {
  auto parts = nlohmann::json::array();
  Multipart form = co_await request.multipart();
  while (auto part = co_await form.next()) {
    Sha256 hash;
    std::uint64_t size = 0;
    while (const auto piece = co_await part->read()) {
      hash.update(*piece);
      size += piece->size();
    }
    parts.push_back({{"name", part->name()}, {"size", size}, {"sha256", hash.hex()}});
    if (part->filename()) parts.back()["filename"] = *part->filename();
  }
  co_return json_response({{"parts", parts}});
}

Task<void> send_ticks(EventWriter& out, std::uint32_t first, std::chrono::milliseconds pause) {
  for (std::uint32_t number = first;; ++number) {
    const std::string text = std::to_string(number);
    co_await out.send({.event = "tick", .data = text, .id = text});
    co_await sleep_for(pause);
  }
}

// /events counts for as long as the client listens, from 1 or after the last number that it has got. &ms=200 sets the
// pause, a second by default.
Response ticks(Request& request) {
  constexpr std::chrono::milliseconds kShortest = 10ms;
  const std::chrono::milliseconds asked(request.query<std::uint16_t>("ms").value_or(1000));
  const std::chrono::milliseconds pause = std::max(asked, kShortest);
  std::uint32_t seen = 0;
  const std::string_view id = request.last_event_id();
  std::from_chars(id.data(), id.data() + id.size(), seen);
  return events([first = seen + 1, pause](EventWriter& out) { return send_ticks(out, first, pause); });
}

}  // namespace

void add_stream_routes(App& app) {
  app.get("/stream", lines);
  app.post("/upload", upload).max_body(1_GiB).deadline(10min);
  app.post("/attachments", attachments).max_body(1_GiB).deadline(10min);
  app.get("/events", ticks);
}

}  // namespace demo
