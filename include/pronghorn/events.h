// Server-sent events: a response that lasts as long as the client stays connected (WHATWG HTML standard, section 9.2).
//
//   Response ticks(Request& request) {
//     return events([](EventWriter& out) -> Task<void> {
//       for (int n = 1;; ++n) {
//         co_await out.send({.event = "tick", .data = std::to_string(n)});
//         co_await sleep_for(1s);
//       }
//     });
//   }
//
// The client is an EventSource. It reconnects by itself when the stream ends and sends the id of the last event that it
// received: see Request::last_event_id(). A response with a status other than 200 stops it from reconnecting.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "pronghorn/detail/export.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"

namespace pronghorn {

// One event: views of text that send() copies before it returns its task. (Views, because GCC 12 destroys a braced
// temporary that owns strings twice if it is written inside a co_await.)
struct ServerSentEvent {
  std::string_view event = {};  // the type, which selects the client's listeners; empty: "message"
  std::string_view data = {};   // UTF-8, any number of lines; the client receives CR, LF and CR LF as LF
  std::string_view id = {};     // empty: the client keeps the last id that it received
  // How long the client waits before it reconnects. Absent: unchanged; browsers start with a few seconds.
  std::optional<std::chrono::milliseconds> retry = {};
};

// Sends the events of one stream. Must not be used after its producer has ended.
class PRONGHORN_API EventWriter {
 public:
  explicit EventWriter(Writer& out) noexcept : out_(out) {}  // for events()
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Sends one event no later than the end of this turn of the loop. Suspends for a slow client as Writer::write() does.
  // Without event and data the client only stores id and retry. Throws std::invalid_argument for a line break or NUL in
  // event or id, and for a negative retry.
  [[nodiscard]] Task<void> send(const ServerSentEvent& event);

  // When something was last sent, heartbeats included.
  [[nodiscard]] std::chrono::steady_clock::time_point last_sent() const noexcept { return last_sent_; }
  // Sends a comment, which the client ignores.
  [[nodiscard]] Task<void> heartbeat();

 private:
  [[nodiscard]] Task<void> write(std::string text);

  Writer& out_;
  std::chrono::steady_clock::time_point last_sent_ = std::chrono::steady_clock::now();
};

using EventProducer = std::function<Task<void>(EventWriter&)>;

// 200 with a stream of events that is neither cached nor buffered by proxies. The server calls `producer` once, on the
// loop, after the handler has returned, so it must own what it captures. Its coroutine is destroyed at its suspension
// point
//  - when the client disconnects, which the server notices within about two seconds, or by a failed heartbeat if the
//    client has vanished without closing the connection;
//  - when the worker drains (stop, reload, fewer workers): the stream ends cleanly as soon as the drain begins, so that
//    the client reconnects to another worker. A stream that starts during a drain ends at once.
// The stream ends when the producer ends; if it throws, the connection is reset. The client reconnects in either case.
// To prevent that, answer its next request with no_content().
//
// After `heartbeat` without an event the server sends a comment, so that proxies keep the connection open. Zero: never.
[[nodiscard]] PRONGHORN_API Response events(EventProducer producer,
                                            std::chrono::milliseconds heartbeat = std::chrono::seconds(15));

}  // namespace pronghorn
