// One request and its response: the interface between the protocol, which knows bytes, and the application.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "pronghorn/request.h"
#include "pronghorn/response.h"
#include "pronghorn/session.h"
#include "pronghorn/task.h"
#include "pronghorn/worker.h"
#include "worker/exchange/correlation.h"
#include "worker/fields/forwarded.h"
#include "worker/fields/request_head.h"
#include "worker/http/request_body.h"
#include "worker/net/socket/peer.h"

namespace pronghorn::worker {

using pronghorn::detail::Exchange;  // the public headers name it
struct StateServices;               // worker/state
struct LedgerEntry;                 // worker/net

inline constexpr std::size_t kMaxRouteParams = 16;

// What happens to a request whose worker died while running it.
enum class Interrupted : std::uint8_t {
  no,       // no worker died
  again,    // it is run again, because its method is idempotent
  once,     // 503, because nobody knows whether it was carried out; with an Idempotency-Key it is run again
  unknown,  // 503 in any case: as `once`, and two workers have died
  guilty,   // 500, because it crashed the worker
};

// The protocol's side of an exchange.
class ExchangeOwner {
 public:
  // Sends the response, whose status is 200..599. Called once. The exchange may be gone when it returns, unless the
  // response is a stream.
  virtual void respond(Exchange& exchange, Response&& response) = 0;
  // The handler has begun to wait for the body: receives more of it, and sends "100 Continue" if the client waits for
  // that (RFC 9110 section 10.1.1).
  virtual void want_body(Exchange& exchange) = 0;
  // Sends a 103 response (RFC 8297), rendered as `head`, if the configuration and the client allow that.
  virtual void send_early_hints(Exchange& /*exchange*/, std::string_view /*head*/) {}
  // Whether the client has closed or reset the connection, so that a response that is about to be written cannot reach
  // it. A handler that blocks the loop keeps the server from noticing that before. A system call.
  [[nodiscard]] virtual bool client_left() const noexcept { return false; }

 protected:
  ~ExchangeOwner() = default;
};

// The application's side of an exchange. One per worker.
class RequestHandler {
 public:
  // Handles the request: calls ExchangeOwner::respond() before it returns, or later from the loop.
  virtual void handle(Exchange& exchange) noexcept = 0;
  // The deadline of an unanswered request has passed: destroys the handler's coroutine and answers 504.
  virtual void deadline_passed(Exchange& exchange) noexcept = 0;
  // The protocol refuses an unanswered request: destroys the handler's coroutine, if it has one, and answers as
  // handle() does. If handle() has not been called, the head is empty or incomplete. `reason` is for the client.
  virtual void refuse(Exchange& exchange, int status, std::string_view reason) noexcept = 0;
  // Whether the path is that of a WebSocket route: an extended CONNECT for it is handled as the GET request that it
  // would be over HTTP/1.1, and any other as a CONNECT, which no route has.
  [[nodiscard]] virtual bool has_socket(std::string_view /*path*/) const noexcept { return false; }

 protected:
  ~RequestHandler() = default;
};

}  // namespace pronghorn::worker

namespace pronghorn::detail {

using namespace worker;

// The protocol fills `head`, `peer` and `body` and calls RequestHandler::handle(); the application calls
// ExchangeOwner::respond() exactly once. Views of the head point into `head_bytes`, so they live as long as the
// exchange.
//
// Context:   loop thread.
// Ownership: an ExchangePool. The protocol opens it for a request, and closes it when the response has been sent or the
//            client has left.
class Exchange {
 public:
  Exchange() noexcept : request(*this) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;
  ~Exchange() { clear(); }

  // Destroys the handler's coroutine and everything that belongs to this request. The object can be reused.
  void clear() noexcept;

  // The server's own number of the request, assigned on the first call.
  [[nodiscard]] const RequestId& number() noexcept;
  // Keeps the number under which another worker has run this request. 0: number() assigns one.
  void keep_number(const RequestId& number) noexcept { number_ = number; }
  // The request's id in logs: X-Request-Id if a trusted proxy sends a valid one, else the text of number().
  [[nodiscard]] std::string_view id();
  // The valid X-Request-Id of a trusted proxy; empty if there is none.
  [[nodiscard]] std::string_view client_id() noexcept {
    return head.has(KnownHeader::x_request_id) ? read_client_id() : std::string_view();
  }
  // For calls to other services: the caller's trace with a span of this request, or a new trace. See
  // worker/exchange/correlation.h.
  [[nodiscard]] std::string_view traceparent() noexcept;
  // The caller's trace, 32 hex digits; empty if it sent no valid traceparent.
  [[nodiscard]] std::string_view caller_trace() noexcept {
    return head.has(KnownHeader::traceparent) ? read_caller_trace() : std::string_view();
  }
  // number() for a signal handler: assigns none, so it is 0 before the first call of number().
  [[nodiscard]] const RequestId& known_number() const noexcept { return number_; }
  // The percent-decoded path, which is decoded when first asked for.
  [[nodiscard]] std::string_view decoded_path();
  // What the forwarding fields say, parsed on the first call. Null if the peer is not a trusted proxy.
  [[nodiscard]] const Forwarding* forwarding();
  // The client: the one that a trusted proxy names, otherwise the peer.
  [[nodiscard]] const Client& client();

  Request request;
  RequestHead head;
  RequestBody body;
  const Peer* peer = nullptr;
  const LedgerEntry* noted = nullptr;  // its connection in the ledger; null: it is not there
  ExchangeOwner* owner = nullptr;
  StateServices* state = nullptr;
  pronghorn::Worker* worker = nullptr;  // set by the application

  std::chrono::steady_clock::time_point started{};
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  Interrupted interrupted = Interrupted::no;
  bool pressed = false;                                       // overload control decides whether it is executed
  std::optional<std::chrono::steady_clock::duration> waited;  // how long the worker made it wait; absent: unknown
  bool surplus = false;        // of a connection above max_connections: answered 503 without a handler
  bool responded = false;      // respond() was called, or the client disconnected
  bool timed_out = false;      // the deadline has passed, and its response is being made
  bool body_was_read = false;  // the handler has asked for the body
  bool counted = true;         // false: neither counted as traffic nor logged

  // Set by the router.
  std::string_view route;  // "/users/{id}"; lives as long as the application
  std::uint32_t route_index = UINT32_MAX;
  std::array<std::pair<std::string_view, std::string_view>, kMaxRouteParams> params;  // name, raw value
  std::size_t param_count = 0;

  BodyErrorText body_error_text = nullptr;  // see Request::explain_errors()
  Task<void> running;                       // the handler's coroutine with its middleware; empty for a plain one
  std::shared_ptr<SessionState> session;

  std::string head_bytes;     // what the views of `head` point into
  std::string trailer_bytes;  // the trailer section of a chunked body: lines as in a head

  // The ExchangePool's list of all its exchanges. in_use: it is open.
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
  [[nodiscard]] std::string_view read_client_id() noexcept;
  [[nodiscard]] std::string_view read_caller_trace() noexcept;

  std::vector<Attachment> attachments_;
  std::vector<std::unique_ptr<std::string>> decoded_;  // parameters that had to be percent-decoded
  std::string decoded_path_;
  std::optional<Forwarding> forwarding_;
  RequestId number_;
  char id_[24] = {};                              // the text of id_has_
  RequestId id_has_;                              // may be the number of an earlier request
  std::optional<std::string_view> client_id_;     // absent: not looked for yet; empty: there is none
  std::optional<std::string_view> caller_trace_;  // the same
  char traceparent_[kTraceparent] = {};           // NUL at its beginning: not made yet
};

}  // namespace pronghorn::detail
