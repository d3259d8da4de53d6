// Testing an application without sockets: its routes and middleware run in the test's own process.
//
//   TestClient client(setup);
//   CHECK(client.get("/users/7").status == 200);
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/app.h"
#include "pronghorn/detail/export.h"

namespace pronghorn {

namespace detail {
class TestWorker;
}

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

  // Later requests come from this address, such as "192.0.2.7" or "2001:db8::1".
  void client_address(std::string_view address);
  void clear_cookies();

 private:
  std::unique_ptr<detail::TestWorker> worker_;
};

}  // namespace pronghorn
