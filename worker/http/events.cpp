#include "pronghorn/events.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "pronghorn/concurrent.h"
#include "pronghorn/timer.h"
#include "worker/http/event_text.h"
#include "worker/http/response_access.h"

namespace pronghorn {
namespace {

using Clock = std::chrono::steady_clock;

void append_field(std::string& text, std::string_view name, std::string_view value) {
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
    throw std::invalid_argument("the field " + std::string(name) + " of an event has a line break or NUL in it");
  }
  text.append(name).append(": ").append(value).append("\n");
}

// One "data" line for each line of `data`. The client joins them with LF.
void append_data(std::string& text, std::string_view data) {
  for (;;) {
    const std::size_t end = std::min(data.find_first_of("\r\n"), data.size());
    text.append("data: ").append(data.substr(0, end)).append("\n");
    if (end == data.size()) return;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
}

Task<void> beat(EventWriter& out, std::chrono::milliseconds interval) {
  for (;;) {
    const auto silence = Clock::now() - out.last_sent();
    if (silence < interval) {
      co_await sleep_for(interval - silence);
    } else {
      co_await out.heartbeat();
    }
  }
}

Task<void> produce(EventProducer producer, Writer& stream, std::chrono::milliseconds heartbeat) {
  EventWriter out(stream);
  if (heartbeat.count() > 0) {
    co_await when_any(producer(out), beat(out, heartbeat));
  } else {
    co_await producer(out);
  }
}

}  // namespace

namespace worker {

std::string event_text(const ServerSentEvent& event) {
  std::string text;
  text.reserve(event.event.size() + event.data.size() + event.id.size() + 64);
  if (event.retry) {
    if (event.retry->count() < 0) throw std::invalid_argument("the retry of an event is negative");
    append_field(text, "retry", std::to_string(event.retry->count()));
  }
  if (!event.id.empty()) append_field(text, "id", event.id);
  if (!event.event.empty()) append_field(text, "event", event.event);
  if (!event.event.empty() || !event.data.empty()) append_data(text, event.data);
  return text += '\n';
}

}  // namespace worker

Task<void> EventWriter::send(const ServerSentEvent& event) { return write(worker::event_text(event)); }

Task<void> EventWriter::heartbeat() { return write(std::string(worker::kEventComment)); }

Task<void> EventWriter::write(std::string text) {
  last_sent_ = Clock::now();
  co_await out_.write(text);
}

Response events(EventProducer producer, std::chrono::milliseconds heartbeat) {
  Response response = stream("text/event-stream", [producer = std::move(producer), heartbeat](Writer& out) {
    return produce(producer, out, heartbeat);
  });
  response.set("Cache-Control", "no-cache");
  response.set("X-Accel-Buffering", "no");  // nginx sends each event on at once
  ResponseAccess::ends_on_drain(response) = true;
  return response;
}

}  // namespace pronghorn
