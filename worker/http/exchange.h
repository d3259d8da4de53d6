// One request and its response: where the protocol (which knows bytes) and the application (which knows routes) meet.
//
// Context:   loop thread.
// Ownership: the protocol (ExchangeOwner) owns every Exchange and returns it to its pool after the response was sent or
//            the client left. clear() destroys the handler's coroutine first.
//
// Life: the protocol fills `head`, `peer` and `body`, and calls RequestHandler::handle(). Before handle() returns, or
// later from the loop, the application calls respond() exactly once. Views of the head point into `head_bytes`, so they
// live as long as the exchange.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "worker/fields/forwarded.h"
#include "worker/fields/request_head.h"
#include "worker/http/correlation.h"
#include "worker/http/request_body.h"
#include "worker/net/peer.h"

namespace pronghorn::worker {

class Exchange;
class SessionState;    // worker/state
struct StateServices;  // worker/state

inline constexpr std::size_t kMaxRouteParams = 16;

// The protocol's side of an exchange.
class ExchangeOwner {
 public:
  // Sends the response, whose status is 200..599. Called once. The exchange may be gone when it returns, unless the
  // response is a stream.
  virtual void respond(Exchange& exchange, Response&& response) = 0;
  // The handler has begun to wait for the body: reads on, and sends "100 Continue" if that was asked for.
  virtual void want_body(Exchange& exchange) = 0;
  // Sends an interim response (1xx), whole, before the response. A client in the same process is not told.
  virtual void send_interim(Exchange& /*exchange*/, std::string_view /*head*/) {}

 protected:
  ~ExchangeOwner() = default;
};

// The application's side. One per worker.
class RequestHandler {
 public:
  // Never throws. See the life of an Exchange.
  virtual void handle(Exchange& exchange) noexcept = 0;
  // The response could not wait for the handler: its deadline has passed. Destroys the coroutine and answers 504.
  virtual void deadline_passed(Exchange& exchange) noexcept = 0;

 protected:
  ~RequestHandler() = default;
};

class Exchange {
 public:
  Exchange() noexcept : request(*this) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() { clear(); }

  // Destroys the handler's coroutine and all that belongs to this request; the object can be used for another.
  void clear() noexcept;

  // The server's own number of the request, given when first asked for.
  [[nodiscard]] const RequestId& number() noexcept;
  // What the request is called in logs: X-Request-Id if a trusted proxy sends a valid one, else the text of number().
  [[nodiscard]] std::string_view id();
  // The X-Request-Id that was taken; empty if there is none.
  [[nodiscard]] std::string_view client_id() noexcept;
  // For calls to other services: the caller's trace with a span of this request, or a new trace. See
  // worker/http/correlation.h.
  [[nodiscard]] std::string_view traceparent() noexcept;
  // The caller's trace, 32 hex digits; empty if it sent no valid traceparent.
  [[nodiscard]] std::string_view caller_trace() noexcept;
  // The same for a signal handler; its number is 0 when nobody has asked yet.
  [[nodiscard]] const RequestId& known_number() const noexcept { return number_; }
  // The percent-decoded path; decoded when first asked for, the raw one when there is nothing to decode.
  [[nodiscard]] std::string_view decoded_path();
  // What trusted proxies say; null when the peer is none. Read when first asked for.
  [[nodiscard]] const Forwarding* forwarding();
  // Who asked: as trusted proxies say it, else the peer.
  [[nodiscard]] const Client& client();

  Request request;
  RequestHead head;
  RequestBody body;
  const Peer* peer = nullptr;
  ExchangeOwner* owner = nullptr;
  StateServices* state = nullptr;

  std::chrono::steady_clock::time_point started{};
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  bool surplus = false;  // of a connection above max_connections: not to be handled
  bool responded = false;
  bool body_was_read = false;  // whether the handler asked for it
  bool counted = true;         // false: neither counted as traffic nor logged

  // Set by the router.
  std::string_view route;  // "/users/{id}"; lives as long as the application
  std::uint32_t route_index = UINT32_MAX;
  std::array<std::pair<std::string_view, std::string_view>, kMaxRouteParams> params;  // name, raw value
  std::size_t param_count = 0;

  pronghorn::detail::BodyErrorText body_error_text = nullptr;  // see Request::explain_errors()
  Task<void> running;                                          // the handler's coroutine with what surrounds it
  std::shared_ptr<SessionState> session;

  std::string head_bytes;     // what the views of `head` point into
  std::string trailer_bytes;  // the trailer section of a chunked body: lines as in a head

  // The pool's list of all its exchanges, which a crash walks; in_use: the pool has given it out.
  Exchange* pool_next = nullptr;
  Exchange* pool_previous = nullptr;
  bool in_use = false;

 private:
  friend class pronghorn::Request;
  struct Attachment {
    const std::type_info* type;
    void* object;
    void (*destroy)(void*);
  };
  std::vector<Attachment> attachments_;
  std::vector<std::unique_ptr<std::string>> decoded_;  // parameters that had to be percent-decoded
  std::string decoded_path_;
  std::optional<Forwarding> forwarding_;
  RequestId number_;
  char id_[24] = {};                              // NUL at its beginning: not made yet
  std::optional<std::string_view> client_id_;     // absent: not looked for yet; empty: there is none
  std::optional<std::string_view> caller_trace_;  // the same
  char traceparent_[kTraceparent] = {};           // NUL at its beginning: not made yet
};

}  // namespace pronghorn::worker
