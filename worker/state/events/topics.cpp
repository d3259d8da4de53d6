// Implements Events and EventReader.
#include <utility>

#include "pronghorn/topics.h"
#include "worker/state/events/event_service.h"
#include "worker/state/events/topics/reader.h"

namespace pronghorn {

namespace {

worker::EventService& service_of(detail::EventService& service) noexcept {
  return static_cast<worker::EventService&>(service);
}

}  // namespace

namespace detail {

struct ReaderState {
  ReaderState(worker::Topic& of, const EventReadOptions& options)
      : topic(of.name()), reader(of, options.after, {.events = options.queue, .slow = SlowReader::drop_oldest}) {}

  std::string topic;
  worker::TopicReader reader;
  bool gap = false;
};

}  // namespace detail

EventReader::EventReader(std::unique_ptr<detail::ReaderState> state) noexcept : state_(std::move(state)) {}
EventReader::EventReader(EventReader&& other) noexcept = default;
EventReader& EventReader::operator=(EventReader&& other) noexcept = default;
EventReader::~EventReader() = default;

Task<Event> EventReader::next() {
  detail::ReaderState& state = *state_;
  for (;;) {
    while (auto item = state.reader.take()) {
      if (item->gap != worker::Gap::none) state.gap = true;
      if (item->event == nullptr) continue;
      const worker::Position& position = item->event->position();
      Event event{state.topic, item->event->payload(), position ? to_text(position) : std::string(),
                  std::exchange(state.gap, false)};
      co_return event;
    }
    co_await state.reader.wait();
  }
}

Task<Published> Events::publish(std::string topic, std::string payload, PublishOptions options) {
  return service_of(*service_).publish(std::move(topic), std::move(payload), options);
}

EventReader Events::read(std::string_view topic, const EventReadOptions& options) {
  return EventReader(std::make_unique<detail::ReaderState>(service_of(*service_).topics().open(topic), options));
}

}  // namespace pronghorn
