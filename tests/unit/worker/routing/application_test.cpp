// What an application does with requests, through the TestClient: the same code as in a worker but for the sockets.
#include "worker/routing/application.h"

#include <string>

#include "common/ipc/scoreboard.h"
#include "pronghorn/json.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

nlohmann::json body_of(const TestResponse& response) {
  CHECK(response.header("content-type") == "application/problem+json");
  return nlohmann::json::parse(response.body);
}

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

TEST_CASE("a plain handler, a coroutine and a stream answer", "[application]") {
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
  const auto problem = body_of(missing);
  CHECK(problem["title"] == "Not Found");
  CHECK(problem["status"] == 404);
  CHECK(problem["request_id"].get<std::string>().size() == 24);

  const auto wrong_method = client.request("DELETE", "/hello");
  CHECK(wrong_method.status == 405);
  CHECK(wrong_method.header("allow") == "GET, HEAD, OPTIONS");
  CHECK(body_of(wrong_method)["request_id"] != problem["request_id"]);

  CHECK(client.get("/a/%2e%2e/hello").status == 400);
  CHECK(client.get("/%zz").status == 400);
  CHECK(client.get("/users/seven").status == 400);
  CHECK(body_of(client.get("/users/seven"))["detail"] == "id must be a whole number, not \"seven\"");
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

// --- errors ---

namespace {

int handled = 0;

void errors(App& app) {
  app.get("/http", [](Request&) -> Response { throw HttpError(409, "already there"); });
  app.get("/retry", [](Request&) -> Response { throw HttpError(503, "soon").retry_after(7); });
  app.get("/odd-status", [](Request&) -> Response { throw HttpError(200, "secret"); });
  app.get("/runtime", [](Request&) -> Response { throw std::runtime_error("secret"); });
  app.get("/int", [](Request&) -> Response { throw 42; });
  app.get("/runtime-later", [](Request&) -> Task<Response> {
    co_await sleep_for(1ms);
    throw std::runtime_error("secret");
  });
  app.get("/int-later", [](Request&) -> Task<Response> {
    co_await sleep_for(1ms);
    throw 42;
  });
  app.get("/redis", [](Request&) -> Response { throw RedisUnavailable("secret address"); });
  app.get("/status-99", [](Request&) { return Response(99); });
  app.get("/status-700", [](Request&) -> Task<Response> { co_return Response(700); });
  app.get("/problem", [](Request&) { return problem(418, "short and stout"); });
  app.get("/stream", [](Request&) {
    return stream("text/plain", [](Writer& out) -> Task<void> {
      co_await out.write("a part");
      throw std::runtime_error("broken");
    });
  });
  app.post("/limited",
           [](Request&) {
             ++handled;
             return text("taken");
           })
      .max_body(10);
  app.get("/slow",
          [](Request&) -> Task<Response> {
            co_await sleep_for(1h);
            co_return text("never");
          })
      .deadline(20ms);
  app.get("/no-deadline",
          [](Request& request) {
            return text(request.deadline() == std::chrono::steady_clock::time_point::max() ? "none" : "some");
          })
      .deadline(0ms);
}

}  // namespace

TEST_CASE("an HttpError answers with its status and text", "[application][errors]") {
  TestClient client(errors);
  const auto conflict = client.get("/http");
  CHECK(conflict.status == 409);
  const auto problem = body_of(conflict);
  CHECK(problem["title"] == "Conflict");
  CHECK(problem["detail"] == "already there");
  CHECK(problem["request_id"].get<std::string>().size() == 24);
  CHECK(client.get("/retry").header("retry-after") == "7");
  CHECK(client.get("/http").header("retry-after").empty());
  CHECK(client.get("/problem").status == 418);
  CHECK(body_of(client.get("/problem")).contains("request_id"));
}

TEST_CASE("any other exception is 500 without details, whatever its type, and the next request is served",
          "[application][errors]") {
  TestClient client(errors);
  for (const char* path :
       {"/runtime", "/int", "/runtime-later", "/int-later", "/odd-status", "/status-99", "/status-700"}) {
    INFO(path);
    const auto response = client.get(path);
    CHECK(response.status == 500);
    CHECK(response.body.find("secret") == std::string::npos);
    CHECK(body_of(response).contains("request_id"));
  }
}

TEST_CASE("a Redis that is away is 503 with Retry-After", "[application][errors]") {
  TestClient client(errors);
  const auto response = client.get("/redis");
  CHECK(response.status == 503);
  CHECK(response.header("retry-after") == "1");
  CHECK(response.body.find("secret") == std::string::npos);
}

TEST_CASE("a stream that fails is cut, not ended", "[application][errors]") {
  TestClient client(errors);
  CHECK_THROWS_WITH(client.get("/stream"), Catch::Contains("broken"));
}

TEST_CASE("a body that is announced as too large is 413 before the handler runs", "[application][errors]") {
  TestClient client(errors);
  handled = 0;
  CHECK(client.post("/limited", "12345678901").status == 413);
  CHECK(handled == 0);
  CHECK(client.post("/limited", "1234567890").status == 200);
  CHECK(handled == 1);
}

TEST_CASE("a handler that misses its deadline is destroyed and the client gets 504", "[application][errors]") {
  TestClient client(errors);
  CHECK(client.get("/slow").status == 504);
  CHECK(client.get("/no-deadline").body == "none");
}

// --- middleware ---

namespace {

std::string trace;

auto guard(std::string name) {
  return [name = std::move(name)](Request&) -> std::optional<Response> {
    trace += name + " ";
    return std::nullopt;
  };
}
auto after(std::string name) {
  return [name = std::move(name)](Request&, Response& response) {
    trace += name + " ";
    response.append("X-After", name);
  };
}

Task<std::optional<Response>> waiting_guard(Request& request) {
  co_await sleep_for(1ms);
  trace += "waiting-guard ";
  if (request.header("x-refuse")) co_return text("refused", 403);
  co_return std::nullopt;
}

Task<Response> wrap(Request& request, Next next) {
  trace += "wrap( ";
  Response response = co_await next(request);
  trace += ")wrap ";
  response.set("X-Wrapped", "yes");
  co_return response;
}

Task<Response> catching(Request& request, Next next) {
  std::string caught;
  try {
    Response response = co_await next(request);
    co_return response;
  } catch (const std::exception& error) {
    caught = error.what();
  }
  co_return text("caught " + caught, 418);
}

Task<Response> twice(Request& request, Next next) {
  Response first = co_await next(request);
  Response second = co_await next(request);
  co_return second;
}

Response traced(Request&) {
  trace += "handler ";
  return text("done");
}

void middleware(App& app) {
  app.use(guard("root-guard"));
  app.use(after("root-after"));
  app.get("/plain", traced);
  auto outer = app.group("/outer");
  outer.get("/early", traced);  // before use(): the middleware applies all the same
  outer.use(guard("outer-guard"));
  outer.use(waiting_guard);
  outer.use(after("outer-after"));
  auto inner = outer.group("/inner");
  inner.use(wrap);
  inner.use(guard("inner-guard"));
  inner.use(after("inner-after"));
  inner.get("/page", traced);
  inner.get("/coroutine", [](Request&) -> Task<Response> {
    co_await sleep_for(1ms);
    trace += "coroutine ";
    co_return text("done");
  });
  inner.get("/throws", [](Request&) -> Response { throw HttpError(409, "conflict"); });
  auto caught = app.group("/caught");
  caught.use(catching);
  caught.get("/throws", [](Request&) -> Response { throw std::runtime_error("it"); });
  auto doubled = app.group("/doubled");
  doubled.use(twice);
  doubled.get("", traced);
  auto broken = app.group("/broken");
  broken.use([](Request&, Response&) { throw std::runtime_error("after"); });
  broken.use(after("still-runs"));
  broken.get("", traced);
  auto attached = app.group("/attached");
  attached.use([](Request& request) -> std::optional<Response> {
    request.attach(std::string("from the guard"));
    return std::nullopt;
  });
  attached.get("", [](Request& request) { return text(*request.attachment<std::string>()); });
}

std::string trace_of(TestClient& client, std::string_view path, const TestClient::Headers& headers = {}) {
  trace.clear();
  const int status = client.get(path, headers).status;
  return trace + std::to_string(status);
}

}  // namespace

TEST_CASE("middleware runs from the outermost group inwards, After middleware outwards", "[application][middleware]") {
  TestClient client(middleware);
  CHECK(trace_of(client, "/plain") == "root-guard handler root-after 200");
  CHECK(trace_of(client, "/outer/early") == "root-guard outer-guard waiting-guard handler outer-after root-after 200");
  CHECK(trace_of(client, "/outer/inner/page") ==
        "root-guard outer-guard waiting-guard wrap( inner-guard handler )wrap inner-after outer-after root-after 200");
  CHECK(trace_of(client, "/outer/inner/coroutine") ==
        "root-guard outer-guard waiting-guard wrap( inner-guard coroutine )wrap inner-after outer-after root-after "
        "200");
  CHECK(client.get("/outer/inner/page").header("x-wrapped") == "yes");
}

TEST_CASE("a guard that answers ends the chain", "[application][middleware]") {
  TestClient client(middleware);
  CHECK(trace_of(client, "/outer/inner/page", {{"X-Refuse", "1"}}) ==
        "root-guard outer-guard waiting-guard inner-after outer-after root-after 403");
}

TEST_CASE("errors pass through After middleware, and those without a route through the application's own",
          "[application][middleware]") {
  TestClient client(middleware);
  CHECK(trace_of(client, "/outer/inner/throws") ==
        "root-guard outer-guard waiting-guard wrap( inner-guard inner-after outer-after root-after 409");
  CHECK(trace_of(client, "/nowhere") == "root-after 404");
  CHECK(client.request("POST", "/plain").header("x-after") == "root-after");
  CHECK(client.request("OPTIONS", "/plain").header("x-after") == "root-after");
}

TEST_CASE("wrapping middleware sees what the handler throws", "[application][middleware]") {
  TestClient client(middleware);
  const auto response = client.get("/caught/throws");
  CHECK(response.status == 418);
  CHECK(response.body == "caught it");
}

TEST_CASE("calling next twice is an error of the application", "[application][middleware]") {
  TestClient client(middleware);
  CHECK(trace_of(client, "/doubled") == "root-guard handler root-after 500");
}

TEST_CASE("After middleware that throws costs the response, not the worker", "[application][middleware]") {
  TestClient client(middleware);
  const auto response = client.get("/broken");
  CHECK(response.status == 500);
  CHECK(body_of(response).contains("request_id"));
}

TEST_CASE("middleware hands values on to the handler", "[application][middleware]") {
  TestClient client(middleware);
  CHECK(client.get("/attached").body == "from the guard");
}

// --- hooks ---

namespace {

void error_hook(App& app) {
  app.on_error([](Request& request, std::exception_ptr error) -> Response {
    try {
      std::rethrow_exception(error);
    } catch (const HttpError& http_error) {
      if (http_error.status() == 404) return html("<h1>Nothing here</h1>", 404);
      return text("hook " + std::to_string(http_error.status()) + " " + std::string(request.method()),
                  http_error.status());
    } catch (const std::out_of_range& range) {
      return text("out of range", 422);
    }
  });
  app.use([](Request&, Response& response) { response.set("X-After", "yes"); });
  app.get("/range", [](Request&) -> Response { throw std::out_of_range("x"); });
  app.get("/unknown", [](Request&) -> Response { throw std::runtime_error("x"); });
  app.get("/conflict", [](Request&) -> Task<Response> {
    co_await sleep_for(1ms);
    throw conflict("x");
  });
}

std::string hook_log;

void hooks(App& app) {
  app.on_start([](Worker& worker) -> Task<void> {
    hook_log += "start1(" + std::to_string(worker.slot()) + "," + std::to_string(worker.generation()) + ") ";
    co_await sleep_for(1ms);
    hook_log += "started1 ";
    CHECK_THROWS_AS(worker.redis(), std::logic_error);
  });
  app.on_start([](Worker&) -> Task<void> {
    hook_log += "start2 ";
    co_return;
  });
  app.on_stop([](Worker&) -> Task<void> {
    co_await sleep_for(1ms);
    hook_log += "stop1 ";
  });
  app.on_stop([](Worker&) -> Task<void> {
    hook_log += "stop2 ";
    throw std::runtime_error("told in the log of this test");
    co_return;
  });
  app.get("/", [](Request&) { return text("up"); });
}

void failing_start(App& app) {
  app.on_start([](Worker&) -> Task<void> {
    co_await sleep_for(1ms);
    throw std::runtime_error("no warehouse");
  });
}

}  // namespace

TEST_CASE("the on_error hook answers for what escapes handlers and for what no route answers", "[application][hooks]") {
  TestClient client(error_hook);
  CHECK(client.get("/range").status == 422);
  CHECK(client.get("/range").header("x-after") == "yes");
  CHECK(client.get("/conflict").body == "hook 409 GET");
  CHECK(client.get("/nowhere").body == "<h1>Nothing here</h1>");
  const auto wrong_method = client.request("PUT", "/range");
  CHECK(wrong_method.body == "hook 405 PUT");
  CHECK(wrong_method.header("allow") == "GET, HEAD, OPTIONS");
}

TEST_CASE("an on_error hook that throws itself leads to a plain 500", "[application][hooks]") {
  TestClient client(error_hook);
  const auto response = client.get("/unknown");
  CHECK(response.status == 500);
  CHECK(body_of(response).contains("request_id"));
}

TEST_CASE("start hooks run in order, stop hooks in reverse order whatever they throw", "[application][hooks]") {
  hook_log.clear();
  {
    TestClient client(hooks);
    CHECK(client.get("/").body == "up");
  }
  CHECK(hook_log == "start1(0,1) started1 start2 stop2 stop1 ");
}

TEST_CASE("what a start hook throws ends the start", "[application][hooks]") {
  CHECK_THROWS_WITH(TestClient(failing_start), "no warehouse");
}

TEST_CASE("what setup throws ends the start, with the mistake in one line", "[application][setup]") {
  const auto error_of = [](void (*setup)(App&)) -> std::string {
    try {
      const TestClient client(setup);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(error_of([](App& app) {
          app.get("/a", [](Request&) { return text(""); });
          app.get("/a", [](Request&) { return text(""); });
        }) == "route \"GET /a\" is there already");
  CHECK(error_of([](App& app) { static_cast<void>(app.group("api")); }) ==
        "group \"api\": a prefix begins with '/' and does not end with one");
  CHECK(error_of([](App& app) { static_cast<void>(app.group("/api/")); }) ==
        "group \"/api/\": a prefix begins with '/' and does not end with one");
  CHECK(error_of([](App& app) { app.get("/a", [](Request&) { return text(""); }).limit(per_client(0, 1s)); }) ==
        "route \"GET /a\": a limit needs a count and a window above zero, not 0 per 1000 ms");
  CHECK(error_of([](App& app) { app.get("/a", PlainHandler{}); }) == "route \"GET /a\": its handler is empty");
  CHECK(error_of([](App& app) { app.serve_files("/f", "/no/such/folder"); }) ==
        "serve_files: the folder \"/no/such/folder\": No such file or directory");
}

TEST_CASE("settings of the application reach it", "[application][setup]") {
  TestClient client(
      [](App& app) {
        const std::string greeting = app.settings().get("greeting").value_or("none");
        const std::string other = app.settings().get("other").value_or("none");
        app.get("/", [greeting, other](Request&) { return text(greeting + " " + other); });
      },
      {.settings = {{"greeting", "hi"}}});
  CHECK(client.get("/").body == "hi none");
}

TEST_CASE("group prefixes add up and may hold parameters", "[application][setup]") {
  TestClient client([](App& app) {
    auto shop = app.group("/shops/{shop}");
    auto items = shop.group("/items");
    items.get("", [](Request& request) { return text(request.param<std::string>("shop")); });
    items.del("/{item}", [](Request& request) {
      return text(request.param<std::string>("shop") + request.param<std::string>("item"));
    });
    items.put("/{item}", [](Request&) { return no_content(); });
    items.patch("/{item}", [](Request&) { return no_content(); });
    items.route("PURGE", "/", [](Request&) { return no_content(); });
  });
  CHECK(client.get("/shops/a%20b/items").body == "a b");
  CHECK(client.request("DELETE", "/shops/7/items/x").body == "7x");
  CHECK(client.request("PUT", "/shops/7/items/x").status == 204);
  CHECK(client.request("PATCH", "/shops/7/items/x").status == 204);
  CHECK(client.request("PURGE", "/shops/7/items/").status == 204);
}

// --- the scoreboard ---

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
    const worker::Application application(config, *row, first);
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
    const worker::Application application(config, *row, second);
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
  const worker::Application application(config, *row, [](App& app) {
    for (int i = 0; i < 300; ++i) app.get("/r" + std::to_string(i), [](Request&) { return text(""); });
  });
  const auto names = names_in(*row);
  REQUIRE(names.size() == kMaxRoutes);
  CHECK(names[kMaxRoutes - 2] == "GET /r254");
  CHECK(names.back() == "other");
}
