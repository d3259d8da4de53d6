// Testing an application without a server: its routes and middleware run in the test's own process.
//
//   TestClient client(setup);
//   CHECK(client.get("/users/7").status == 200);
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/app.h"
#include "pronghorn/client_certificate.h"
#include "pronghorn/detail/export.h"

namespace pronghorn {

namespace detail {
class TestWorker;
struct TestSocketState;
}  // namespace detail

// A response as a client would receive it. Streams are collected into `body`.
struct TestResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers;
  // The first field of that name, compared without case; empty if there is none.
  [[nodiscard]] PRONGHORN_API std::string header(std::string_view name) const;
};

// One server-sent event as an EventSource receives it.
struct TestEvent {
  std::string event;  // empty: "message"
  std::string data;   // lines are separated by LF
  std::string id;
};

// How a WebSocket has ended.
struct TestClose {
  std::uint16_t code = 0;  // of the server's close frame; 1005: it had none, 1006: it has sent no close frame
  std::string reason = {};
};

// One part of a multipart/form-data body.
struct TestPart {
  std::string name;
  std::string content;
  std::optional<std::string> filename = {};  // present: the part is a file
  std::string content_type = {};             // empty: not sent
};

struct TestOptions {
  // "none": sessions are answered 503 and limits allow. "temporary": a private redis-server, started for this client
  // and stopped with it. Otherwise the address of a Redis that the test has started: redis://HOST:PORT or unix:PATH.
  std::string redis = "none";
  std::vector<std::pair<std::string, std::string>> settings = {};  // the [app] table
  std::string client_address = "127.0.0.1";                        // request.client().address
  std::chrono::milliseconds timeout{10'000};  // a request that takes longer throws std::runtime_error
};

// The client of one WebSocket: see TestClient::websocket(). Answers pings and the server's close frame as a browser
// does, whenever its TestClient waits for something.
//
// What waits does so for TestOptions::timeout at most, and then throws std::runtime_error. The application's handlers
// run during the calls of all sockets and of the client. Must not outlive its client. Destroying it is a disconnect().
class PRONGHORN_API TestSocket {
 public:
  explicit TestSocket(std::unique_ptr<detail::TestSocketState> state) noexcept;  // for TestClient
  TestSocket(TestSocket&& other) noexcept;
  TestSocket& operator=(TestSocket&& other) noexcept;
  ~TestSocket();

  // The answer to the handshake: status 101, or a refusal. After a refusal the other functions throw
  // std::runtime_error.
  [[nodiscard]] const TestResponse& response() const noexcept;
  [[nodiscard]] bool accepted() const noexcept { return response().status == 101; }

  // Sends a message and returns at once. Throws std::runtime_error if the server has closed the socket.
  void send(std::string_view text);
  void send_binary(std::string_view bytes);
  // Waits for the next message. Throws std::runtime_error if it is of the other kind, which leaves it there, and if the
  // server closes the socket instead.
  [[nodiscard]] std::string receive();
  [[nodiscard]] std::string receive_binary();

  // Sends a close frame. Then waits until the server has answered it and the close handler has ended. Does nothing if
  // the socket has ended. `code`: as WebSocket::close(), or 1005 for none.
  void close(std::uint16_t code = 1000, std::string_view reason = {});
  // The connection ends without a close frame, as when a browser is killed. Waits as close() does.
  void disconnect();
  // Waits until the server has closed the socket and the close handler has ended. Messages that have arrived before
  // can still be received.
  TestClose closed();

 private:
  std::unique_ptr<detail::TestSocketState> state_;
};

// One application in a worker of its own, with its own state, loop and cookie jar. Several may exist at once. Keeps
// cookies between requests as a browser does.
//
// Context: one thread; not inside a handler.
class PRONGHORN_API TestClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  // Runs `setup`, constructs the state and runs the on_start hooks. Throws what they throw, and std::runtime_error if
  // the redis-server of "temporary" cannot be started.
  explicit TestClient(const std::function<void(App&)>& setup, const TestOptions& options = {});
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;
  ~TestClient();  // runs the on_drain and the on_stop hooks

  TestResponse get(std::string_view target, const Headers& headers = {});
  TestResponse del(std::string_view target, const Headers& headers = {});
  // A Content-Type in `headers` takes precedence over `content_type`.
  TestResponse post(std::string_view target, std::string_view body = {},
                    std::string_view content_type = "application/json", const Headers& headers = {});
  TestResponse put(std::string_view target, std::string_view body = {},
                   std::string_view content_type = "application/json", const Headers& headers = {});
  TestResponse patch(std::string_view target, std::string_view body = {},
                     std::string_view content_type = "application/json", const Headers& headers = {});
  // Posts fields as application/x-www-form-urlencoded.
  TestResponse form(std::string_view target, const std::vector<std::pair<std::string, std::string>>& fields,
                    const Headers& headers = {});
  // Posts parts as multipart/form-data.
  TestResponse multipart(std::string_view target, const std::vector<TestPart>& parts, const Headers& headers = {});
  TestResponse request(std::string_view method, std::string_view target, std::string_view body = {},
                       const Headers& headers = {});

  // GETs a stream of events and disconnects after `count` of them, which destroys the producer at its suspension point.
  // Returns fewer if the stream ends earlier. Throws std::runtime_error if the response is not a stream of events.
  std::vector<TestEvent> events(std::string_view target, std::size_t count, const Headers& headers = {});

  // Opens a WebSocket. The handshake is a GET, so `target` may have a query, and `headers` Origin or
  // Sec-WebSocket-Protocol; the route's middleware and limits apply, and cookies are sent and kept. Offers compression,
  // as browsers do. Returns when the socket is in the topics to which `open` has subscribed it, unless Redis is down.
  // Several sockets may be open at the same time.
  TestSocket websocket(std::string_view target, const Headers& headers = {});

  // Later requests come from this address, such as "192.0.2.7" or "2001:db8::1".
  void client_address(std::string_view address);
  // Later requests come over TLS: request.scheme() is "https", and request.client_certificate() is `certificate`.
  void over_tls(std::optional<ClientCertificate> certificate = {});
  void clear_cookies();

 private:
  std::unique_ptr<detail::TestWorker> worker_;
};

}  // namespace pronghorn
