// What the application does with requests, through the TestClient: the same code as in a worker, without sockets.
#include "worker/routing/served_app.h"

#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "pronghorn/json.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "unit/worker/routing/problem_body.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

void basics(App& app) {
  app.get("/hello", [](Request&) { return text("Hello, World!"); });
  app.get("/users/{id}", [](Request& request) { return text(std::to_string(request.param<int>("id"))); });
  app.post("/echo", [](Request& request) -> Task<Response> {
    const auto body = co_await request.body();
    co_return text(std::string(body));
  });
  app.get("/later", [](Request& request) -> Task<Response> {
    const std::string before(request.id());
    co_await sleep_for(2ms);
    co_return text(before == request.id() ? "same" : "other");
  });
  app.get("/stream", [](Request&) {
    return stream("text/plain", [](Writer& out) -> Task<void> {
      for (int i = 0; i < 3; ++i) {
        co_await out.write(std::to_string(i) + "\n");
        co_await sleep_for(1ms);
      }
    });
  });
  app.get("/route", [](Request& request) { return text(std::string(request.route())); }).name("custom");
}

}  // namespace

TEST_CASE("a plain handler, a coroutine and a stream respond", "[application]") {
  TestClient client(basics);
  const auto hello = client.get("/hello");
  CHECK(hello.status == 200);
  CHECK(hello.body == "Hello, World!");
  CHECK(hello.header("content-type") == "text/plain; charset=utf-8");
  CHECK(hello.header("content-length") == "13");
  CHECK(client.get("/users/7?x=1").body == "7");
  const std::string bytes("a\0b\r\n", 5);
  CHECK(client.post("/echo", bytes).body == bytes);
  CHECK(client.post("/echo", std::string(200'000, 'x')).body.size() == 200'000);
  CHECK(client.post("/echo").body.empty());
  CHECK(client.get("/later").body == "same");
  CHECK(client.get("/stream").body == "0\n1\n2\n");
  CHECK(client.get("/route").body == "/route");
}

TEST_CASE("HEAD is answered by GET without a body, OPTIONS by what the path allows", "[application]") {
  TestClient client(basics);
  const auto head = client.request("HEAD", "/hello");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(head.header("content-length") == "13");
  const auto options = client.request("OPTIONS", "/hello");
  CHECK(options.status == 204);
  CHECK(options.header("allow") == "GET, HEAD, OPTIONS");
  CHECK(options.body.empty());
  CHECK(client.request("OPTIONS", "/nowhere").status == 404);
  CHECK(client.request("OPTIONS", "*").header("allow") == "GET, HEAD, OPTIONS, POST");
}

TEST_CASE("what no route answers is 404, 405 with Allow, or 400, as problem details with the request id",
          "[application]") {
  TestClient client(basics);
  const auto missing = client.get("/nowhere");
  CHECK(missing.status == 404);
  const auto problem = problem_body(missing);
  CHECK(problem["title"] == "Not Found");
  CHECK(problem["status"] == 404);
  CHECK(problem["request_id"].get<std::string>().size() == 24);

  const auto wrong_method = client.request("DELETE", "/hello");
  CHECK(wrong_method.status == 405);
  CHECK(wrong_method.header("allow") == "GET, HEAD, OPTIONS");
  CHECK(problem_body(wrong_method)["request_id"] != problem["request_id"]);

  CHECK(client.get("/a/%2e%2e/hello").status == 400);
  CHECK(client.get("/%zz").status == 400);
  CHECK(client.get("/users/seven").status == 400);
  CHECK(problem_body(client.get("/users/seven"))["detail"] == "id must be a whole number, not \"seven\"");
}

// The parser knew a fixed list of methods, so that a route for any other could not be reached.
TEST_CASE("a route may have any method, and one that no route has is 501", "[application]") {
  TestClient client([](App& app) {
    app.route("QUERY", "/search", [](Request& request) -> Task<Response> {
      const auto body = co_await request.body();
      co_return text("found " + std::string(body));
    });
    app.get("/hello", [](Request&) { return text("hello"); });
  });
  CHECK(client.request("QUERY", "/search", "it").body == "found it");
  const auto other_path = client.request("QUERY", "/hello");
  CHECK(other_path.status == 405);
  CHECK(other_path.header("allow") == "GET, HEAD, OPTIONS");
  CHECK(client.get("/search").header("allow") == "OPTIONS, QUERY");
  CHECK(client.request("DELETE", "/hello").status == 405);
  CHECK(client.request("DELETE", "/nowhere").status == 404);
  CHECK(client.request("BREW", "/hello").status == 501);
  CHECK(client.request("BREW", "/nowhere").status == 501);
  CHECK(client.request("query", "/search").status == 501);
}

TEST_CASE("a request whose head is malformed is refused before any handler", "[application]") {
  TestClient client(basics);
  CHECK(client.get("/hello", {{"X", "a\r\n folded"}}).status == 400);
  CHECK(client.get("/hello", {{"Content-Length", "-1"}}).status == 400);
}

namespace {

std::vector<std::string> names_in(const WorkerRow& row) {
  std::vector<std::string> names;
  for (const RouteRow& route : row.routes) {
    if (std::string name = route.route.get(); !name.empty()) names.push_back(name);
  }
  return names;
}

}  // namespace

TEST_CASE("routes are named in the worker's row, and figures of another application are not kept", "[application]") {
  const auto row = std::make_unique<WorkerRow>();
  const Config config;
  const auto first = [](App& app) {
    app.get("/a", [](Request&) { return text(""); });
    app.get("/b", [](Request&) { return text(""); });
    app.get("/c", [](Request&) { return text(""); });
  };
  {
    const worker::ServedApp application(config, *row, first);
  }
  CHECK(names_in(*row) == std::vector<std::string>{"GET /a", "GET /b", "GET /c"});
  for (std::size_t i = 0; i < 3; ++i) {
    add(row->routes[i].requests, 5);
    row->routes[i].latency.record(100);
  }
  const auto second = [](App& app) {
    app.get("/a", [](Request&) { return text(""); });
    app.post("/new", [](Request&) { return text(""); }).name("create");
  };
  {
    const worker::ServedApp application(config, *row, second);
  }
  CHECK(names_in(*row) == std::vector<std::string>{"GET /a", "create"});
  CHECK(row->routes[0].requests == 5);
  CHECK(row->routes[1].requests == 0);
  RouteHistogram::Sum sum;
  sum.add(row->routes[1].latency);
  CHECK(sum.total == 0);
}

TEST_CASE("more routes than the row has room for share its last place", "[application]") {
  const auto row = std::make_unique<WorkerRow>();
  const Config config;
  const worker::ServedApp application(config, *row, [](App& app) {
    for (int i = 0; i < 300; ++i) app.get("/r" + std::to_string(i), [](Request&) { return text(""); });
  });
  const auto names = names_in(*row);
  REQUIRE(names.size() == kMaxRoutes);
  CHECK(names[kMaxRoutes - 2] == "GET /r254");
  CHECK(names.back() == "other");
}
