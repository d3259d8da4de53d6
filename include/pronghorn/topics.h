// Events: publish and subscribe over all workers and machines that share one Redis.
//
//   app.on_event("user.*", [](const Event& event, Worker& worker) { worker.state<Users>().forget(event.payload); });
//   co_await request.events().publish("user.changed", id);
//   return topic_stream(request, "orders");                         // server-sent events of a topic
//
// Topics: 1 to 256 bytes without control characters, such as "user.changed"; they need no declaration.
// Payloads: any bytes, at most kMaxEventPayload.
//
// Delivery is at most once, to whoever listens at that moment, in the order in which Redis received the events of one
// topic. What is published while a worker has no connection to Redis does not reach it; it is told so afterwards (a
// gap). With a history the topic's latest events are kept in Redis, and a reader continues after the last event that it
// has seen, without a gap or a duplicate. Publish to a topic either always with a history or never.
//
// Context: the worker's loop thread. See docs/app/events.md.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pronghorn/detail/callable.h"
#include "pronghorn/detail/export.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "pronghorn/worker.h"

namespace pronghorn {

namespace detail {
class EventService;
struct ReaderState;
}  // namespace detail

inline constexpr std::size_t kMaxTopic = 256;                 // bytes
inline constexpr std::size_t kMaxEventPayload = 1024 * 1024;  // bytes
inline constexpr std::uint32_t kMaxEventHistory = 1'000'000;  // events

// Whether `text` can name a topic. Check what comes from a client.
[[nodiscard]] PRONGHORN_API bool is_topic(std::string_view text) noexcept;

// An event as a subscriber gets it.
struct Event {
  std::string topic;
  std::string payload;
  // Names the event within its topic, for EventReadOptions::after and Last-Event-ID. Empty without a history.
  std::string id = {};
  // Whether events may have been missed between the one before and this one.
  bool gap = false;
};

// Whether Redis keeps an event for readers that come later. The default: it does not.
struct PublishOptions {
  // How many of the topic's latest events Redis keeps, this one included: at least so many, and some more (Redis trims
  // in blocks). 0: none. At most kMaxEventHistory.
  std::uint32_t history = 0;
  // How long after the last event the history is kept. At least a second, at most 366 days.
  std::chrono::milliseconds keep = std::chrono::hours(1);
};

// What became of an event that was published.
struct Published {
  // How many machines have received the event for readers of its topic, plus how many workers for handlers of
  // on_event(), once per pattern that matches. Absent if Redis does not tell: the nodes of a Redis Cluster know only
  // their own.
  std::optional<std::int64_t> receivers;
  std::string id;  // empty without a history
};

// From where EventReader reads.
struct EventReadOptions {
  // The id of the last event that was seen: continues after it. A decimal number: continues after the event with that
  // offset in the topic's current epoch; "0" is all that is kept. Other text, and an id that the topic does not know
  // any more, is a gap. Empty: begins with the next event that is published.
  std::string_view after = {};
  // How many events may wait for the reader; then the oldest are dropped, which is a gap. At most 4 MiB of them.
  std::size_t queue = 256;
};

// Reads the events of one topic, as fast as the caller takes them: from request.events().read("orders"). All readers of
// a worker share one subscription. Movable; must not outlive the worker. A drain waits for a spawned task that reads,
// so end that task in an on_drain hook.
class PRONGHORN_API EventReader {
 public:
  explicit EventReader(std::unique_ptr<detail::ReaderState> state) noexcept;  // for Events
  EventReader(EventReader&& other) noexcept;
  EventReader& operator=(EventReader&& other) noexcept;
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;
  ~EventReader();

  // Waits for the next event. While Redis is down it waits for Redis. One call at a time.
  [[nodiscard]] Task<Event> next();

 private:
  std::unique_ptr<detail::ReaderState> state_;
};

// A handle to the worker's events, from request.events() or worker.events(). Cheap to copy, valid for the life of the
// worker.
class PRONGHORN_API Events {
 public:
  explicit Events(detail::EventService& service) noexcept : service_(&service) {}

  // Publishes an event and waits until Redis has it: one round trip. This worker's own subscribers get it too, by way
  // of Redis. Throws std::invalid_argument for an invalid topic, payload or option, RedisUnavailable (answered 503) if
  // Redis cannot serve; the event may have been published nevertheless.
  [[nodiscard]] Task<Published> publish(std::string topic, std::string payload, PublishOptions options = {});

  // Reads a topic. Throws std::invalid_argument for an invalid topic.
  [[nodiscard]] EventReader read(std::string_view topic, const EventReadOptions& options = {});

  [[nodiscard]] detail::EventService& service() const noexcept { return *service_; }  // for the server

 private:
  detail::EventService* service_;
};

// A function that App::on_event() calls for each event: void or Task<void>, of (const Event&, Worker&),
// (Event, Worker&), (const Event&) or (Event).
//
// app.on_event(pattern, handler) calls it in every worker for each event whose topic matches the pattern, from the end
// of the on_start hooks until the worker drains. In a pattern '*' stands for any text, also for none; every other
// character stands for itself. A worker handles the events of one on_event() in order, one at a time; at most 1024 of
// them (4 MiB) wait, then new ones are dropped, which is counted and logged. An exception is logged, and the next event
// follows. With --redis none there are no events.
class PRONGHORN_API EventHandler {
 public:
  using Function = std::function<Task<void>(Event&&, Worker&)>;

  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, EventHandler>)
  EventHandler(F&& function)  // NOLINT(google-explicit-constructor): app.on_event(pattern, function)
      : function_(wrap(std::decay_t<F>(std::forward<F>(function)))) {}

  [[nodiscard]] const Function& function() const noexcept { return function_; }  // for the server

 private:
  template <class F>
  static Function wrap(F function) {
    static_assert(detail::check_kept_callable<F>());
    if constexpr (requires { function == nullptr; }) {
      if (function == nullptr) return {};
    }
    if constexpr (std::is_invocable_v<F&, Event, Worker&>) {
      return wrap_call([function = std::move(function)](Event&& event, Worker& worker) mutable {
        return function(std::move(event), worker);
      });
    } else if constexpr (std::is_invocable_v<F&, Event>) {
      return wrap_call(
          [function = std::move(function)](Event&& event, Worker&) mutable { return function(std::move(event)); });
    } else {
      static_assert(detail::kNever<F>, "an event handler is void or Task<void> of (const Event&, Worker&) or (Event)");
      return {};
    }
  }
  template <class Call>
  static Function wrap_call(Call call) {
    using Result = std::invoke_result_t<Call&, Event, Worker&>;
    if constexpr (std::is_same_v<Result, Task<void>>) {
      return call;
    } else {
      static_assert(std::is_void_v<Result>, "an event handler returns void or Task<void>");
      return [call = std::move(call)](Event&& event, Worker& worker) mutable -> Task<void> {
        call(std::move(event), worker);
        co_return;
      };
    }
  }

  Function function_;
};

// What happens to a client of topic_stream() that is slower than the topic.
enum class SlowReader {
  close,        // its response ends; EventSource reconnects, and continues without loss if the topic has a history
  drop_oldest,  // it misses the oldest events, and is told so
};

struct TopicStreamOptions {
  std::size_t queue = 256;  // events that may wait for one client, at most 4 MiB of them
  SlowReader slow = SlowReader::close;
  // A client that gets no event for this long is sent a comment, so that proxies keep the connection open. Zero: never.
  std::chrono::milliseconds heartbeat = std::chrono::seconds(15);
};

// A response that sends the topic's events as server-sent events (pronghorn/events.h) for as long as the client stays
// connected: one event per published event, with the payload as its data. If the topic has a history, each event has an
// id, and a client that reconnects with Last-Event-ID continues after it, as with EventReadOptions::after.
//
// When events may have been missed, the client gets an event of the type "gap", whose data says why:
//   interrupted  Redis was unreachable, and the topic has no history
//   lost         Redis has lost the history: its data is gone, or it was not published to for too long
//   expired      the history does not reach back to the client's Last-Event-ID
//   slow         the client was too slow (SlowReader::drop_oldest)
//
// While Redis is down the response begins, and its events follow when Redis is back. It ends when the worker drains, as
// events() does. Throws std::invalid_argument for an invalid topic, std::logic_error with --redis none.
[[nodiscard]] PRONGHORN_API Response topic_stream(Request& request, std::string_view topic,
                                                  const TopicStreamOptions& options = {});

}  // namespace pronghorn
