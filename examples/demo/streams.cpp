// Bodies that are never held in memory as a whole, in both directions.
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
    co_await out.write("line " + std::to_string(line) + "\n");  // suspends while the client reads slowly
  }
}

// /stream?n=10 answers ten lines; &ms=200 pauses for 200 ms between two of them.
Response lines(Request& request) {
  const auto count = request.query<std::uint32_t>("n").value_or(10);
  const std::chrono::milliseconds pause(request.query<std::uint16_t>("ms").value_or(0));
  return stream("text/plain; charset=utf-8", [count, pause](Writer& out) { return write_lines(out, count, pause); });
}

// /download?bytes=N answers N bytes of a known body: byte i is i % 251. Held in memory, so its length is announced.
Response download(Request& request) {
  constexpr std::uint64_t kLargest = 256_MiB;
  const auto size = request.query<std::uint64_t>("bytes").value_or(1_MiB);
  if (size > kLargest) throw bad_request("bytes is at most " + std::to_string(kLargest));
  std::string body(size, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i % 251);
  return bytes(std::move(body));
}

Task<Response> upload(Request& request) {
  Sha256 hash;
  std::uint64_t size = 0;
  while (const auto piece = co_await request.read()) {  // the client has to wait while this is busy
    hash.update(*piece);
    size += piece->size();
  }
  co_return json_response({{"size", size}, {"sha256", hash.hex()}});
}

// A form with files: lists its parts, each hashed as it arrives.
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

// /events counts for as long as the client listens, from 1 or from the last number that the client received. ?ms=200
// sets the pause; the default is one second.
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
  app.get("/download", download);
  app.post("/upload", upload).max_body(1_GiB).deadline(10min);
  app.post("/attachments", attachments).max_body(1_GiB).deadline(10min);
  app.get("/events", ticks);
}

}  // namespace demo
