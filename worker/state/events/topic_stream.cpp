// Server-sent events of a topic.
#include <memory>
#include <string>
#include <utility>

#include "pronghorn/concurrent.h"
#include "pronghorn/topics.h"
#include "worker/http/event_text.h"
#include "worker/http/response_access.h"
#include "worker/state/events/event_service.h"
#include "worker/state/events/messages/topic_names.h"
#include "worker/state/events/topics/reader.h"

namespace pronghorn {
namespace {

using worker::ReaderItem;
using worker::TopicReader;

// What is not an event itself.
std::string wire_text(const ReaderItem& item) {
  if (item.is_heartbeat) return std::string(worker::kEventComment);
  // A gap has an id too, so that a client is not told of it again when it reconnects.
  const std::string id = item.begins_after ? to_text(item.begins_after) : std::string();
  if (item.gap != worker::Gap::none) return worker::event_text({.event = "gap", .data = to_text(item.gap), .id = id});
  return worker::event_text({.id = id});
}

Task<void> pass_on(TopicReader& reader, Writer& out) {
  for (;;) {
    while (auto item = reader.take()) {
      if (item->event) {
        co_await out.write(item->event->sse_text());
      } else {
        const std::string text = wire_text(*item);
        co_await out.write(text);
      }
    }
    co_await reader.wait();
  }
}

Task<void> until_overflow(TopicReader& reader) {
  TopicReader::Overflow overflow = reader.overflow();
  co_await overflow;
}

struct Stream {
  worker::EventService& service;
  std::string topic;
  std::string after;
  worker::ReaderLimits limits;
};

Task<void> produce(std::shared_ptr<const Stream> stream, Writer& out) {
  TopicReader reader(stream->service.topics().open(stream->topic), stream->after, stream->limits);
  if (stream->limits.slow == SlowReader::drop_oldest) {
    co_await pass_on(reader, out);
  } else {
    co_await when_any(pass_on(reader, out), until_overflow(reader));
  }
}

}  // namespace

Response topic_stream(Request& request, std::string_view topic, const TopicStreamOptions& options) {
  worker::require_topic(topic);
  auto& service = static_cast<worker::EventService&>(request.events().service());
  const worker::ReaderLimits limits{options.queue, options.slow, options.heartbeat};
  // Shared by the copies of the producer.
  const auto parts =
      std::make_shared<const Stream>(Stream{service, std::string(topic), std::string(request.last_event_id()), limits});
  Response response = stream("text/event-stream", [parts](Writer& out) { return produce(parts, out); });
  response.set("Cache-Control", "no-cache");
  response.set("X-Accel-Buffering", "no");  // nginx sends each event on at once
  ResponseAccess::ends_on_drain(response) = true;
  return response;
}

}  // namespace pronghorn
