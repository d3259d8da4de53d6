// Bodies that are never held whole in memory, in both directions.
#include <pronghorn/json.h>

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
  co_return json({{"size", size}, {"sha256", hash.hex()}});
}

}  // namespace

void add_stream_routes(App& app) {
  app.get("/stream", lines);
  app.post("/upload", upload).max_body(1_GiB).deadline(10min);
}

}  // namespace demo
