// Testing an application without sockets: its routes and middleware run in the test's own process.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/app.h"
#include "pronghorn/detail/export.h"

namespace pronghorn {

// What came back: everything as a client would get it, bodies whole (streams are collected).
struct TestResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers;
  // The first field of that name, compared without case; empty when there is none.
  [[nodiscard]] PRONGHORN_API std::string header(std::string_view name) const;
};

// One event of a stream of events, as an EventSource would dispatch it (or, without data, take its id and retry).
struct TestEvent {
  std::string event;  // empty: "message"
  std::string data;   // its lines, with LF between them
  std::string id;
};

struct TestOptions {
  // "none", redis://…, or unix:PATH: a Redis that the test has started. Without it, sessions answer 503 and limits
  // allow.
  std::string redis = "none";
  std::vector<std::pair<std::string, std::string>> settings = {};  // the [app] table
  std::chrono::milliseconds timeout{10'000};  // a request that takes longer throws std::runtime_error
};

// One application with a loop of its own. Cookies are kept from answer to request as a browser does.
// Context: one thread; not inside a handler. Throws what setup or an on_start hook throws.
class PRONGHORN_API TestClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  explicit TestClient(void (*setup)(App&), const TestOptions& options = {});
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;
  ~TestClient();  // runs the on_stop hooks

  TestResponse get(std::string_view target, const Headers& headers = {});
  // A Content-Type among `headers` wins over `content_type`.
  TestResponse post(std::string_view target, std::string_view body = {},
                    std::string_view content_type = "application/json", const Headers& headers = {});
  TestResponse request(std::string_view method, std::string_view target, std::string_view body = {},
                       const Headers& headers = {});
  // GETs a stream of events and leaves when `count` have come, which destroys its producer where it is suspended. Fewer
  // when the stream ends before. Throws std::runtime_error when the answer is no stream of events.
  std::vector<TestEvent> events(std::string_view target, std::size_t count, const Headers& headers = {});
  void clear_cookies();

 private:
  class PRONGHORN_LOCAL Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace pronghorn
