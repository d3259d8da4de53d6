// Server-sent events: a response that goes on for as long as the client stays (WHATWG HTML standard, section 9.2).
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
// The client's end is an EventSource, which connects again by itself when the stream ends and says in Last-Event-ID
// what it has seen: see Request::last_event_id(). An answer whose status is not 200 stops it for good.
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

// One event. Views of text that send() copies before it returns its task. (They own nothing, because GCC 12 destroys a
// braced temporary with strings in it twice when it is an argument of what is awaited.)
struct Event {
  std::string_view event = {};  // its type: the listeners of that name get it; empty: "message"
  std::string_view data = {};   // UTF-8 of any number of lines; the client sees CR, LF and CR LF as LF
  std::string_view id = {};     // empty: none, and the client keeps the last one it got
  // How long the client waits before it connects again. Absent: what it was told before; a browser begins with seconds.
  std::optional<std::chrono::milliseconds> retry = {};
};

// Where events are written. Lives as long as its producer runs.
class PRONGHORN_API EventWriter {
 public:
  explicit EventWriter(Writer& out) noexcept : out_(out) {}  // for events()
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Sends one event, at the end of this turn of the loop at the latest. Waits for a client that reads slowly, as
  // Writer::write() does. With neither event nor data nothing is dispatched at the client: it only takes id and retry.
  // Throws std::invalid_argument for a line break or NUL in event or id, and for a negative retry.
  [[nodiscard]] Task<void> send(const Event& event);

  // When something was last sent, heartbeats included.
  [[nodiscard]] std::chrono::steady_clock::time_point last_sent() const noexcept { return last_sent_; }
  // A comment, which the client ignores.
  [[nodiscard]] Task<void> heartbeat();

 private:
  [[nodiscard]] Task<void> write(std::string text);

  Writer& out_;
  std::chrono::steady_clock::time_point last_sent_ = std::chrono::steady_clock::now();
};

using EventProducer = std::function<Task<void>(EventWriter&)>;

// 200 with a stream of events, not to be cached and not to be buffered by proxies. `producer` is called once, on the
// loop, after the handler has returned, so it owns what it captures. Its coroutine is destroyed where it is suspended
//  - when the client leaves: noticed within about two seconds, or when something is sent to a client that has vanished
//    without a word, for which there are heartbeats;
//  - when the worker drains (stop, reload, fewer workers): the stream is ended cleanly as soon as the drain begins, so
//    that the client connects again, to another worker. One that begins during a drain ends at once.
// When the producer ends, the stream ends; when it throws, the connection is cut. A client comes back in either case:
// to send it away for good, answer its next request with no_content().
//
// After `heartbeat` without an event a comment is sent, so that proxies do not take the connection for idle. Zero:
// none.
[[nodiscard]] PRONGHORN_API Response events(EventProducer producer,
                                            std::chrono::milliseconds heartbeat = std::chrono::seconds(15));

}  // namespace pronghorn
