#include "worker/routing/error_answers.h"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "pronghorn/json.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/log_lines.h"
#include "unit/worker/routing/problem_body.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

int handled = 0;

struct Speechless : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return nullptr; }
};

void errors(App& app) {
  app.get("/http", [](Request&) -> Response { throw HttpError(409, "already there"); });
  app.get("/retry", [](Request&) -> Response { throw HttpError(503, "soon").retry_after(7); });
  app.get("/odd-status", [](Request&) -> Response { throw HttpError(200, "secret"); });
  app.get("/runtime", [](Request&) -> Response { throw std::runtime_error("secret"); });
  app.get("/int", [](Request&) -> Response { throw 42; });
  app.get("/speechless", [](Request&) -> Response { throw Speechless(); });
  app.get("/talkative", [](Request&) -> Response { throw std::runtime_error(std::string(3'000'000, 'x')); });
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
  const auto problem = problem_body(conflict);
  CHECK(problem["title"] == "Conflict");
  CHECK(problem["detail"] == "already there");
  CHECK(problem["request_id"].get<std::string>().size() == 24);
  CHECK(client.get("/retry").header("retry-after") == "7");
  CHECK(client.get("/http").header("retry-after").empty());
  CHECK(client.get("/problem").status == 418);
  CHECK(problem_body(client.get("/problem")).contains("request_id"));
}

TEST_CASE("any other exception is logged and 500 without details, whatever its type, and the next request is served",
          "[application][errors]") {
  TestClient client(errors);
  const test::LogLines lines;
  for (const char* path : {"/runtime", "/int", "/speechless", "/talkative", "/runtime-later", "/int-later",
                           "/odd-status", "/status-99", "/status-700"}) {
    INFO(path);
    const auto response = client.get(path);
    CHECK(response.status == 500);
    CHECK(response.body.find("secret") == std::string::npos);
    CHECK(problem_body(response).contains("request_id"));
    CHECK(lines.with("path=" + std::string(path)) == 1);
  }
  CHECK(lines.with("an HttpError with status 200; use 400 to 599: secret") == 1);
}

TEST_CASE("a Redis that is down is answered 503 with Retry-After", "[application][errors]") {
  TestClient client(errors);
  const auto response = client.get("/redis");
  CHECK(response.status == 503);
  CHECK(response.header("retry-after") == "1");
  CHECK(response.body.find("secret") == std::string::npos);
}

TEST_CASE("a stream that fails is reset, not ended regularly", "[application][errors]") {
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

TEST_CASE("an on_error hook that throws leads to a plain 500", "[application][hooks]") {
  TestClient client(error_hook);
  const auto response = client.get("/unknown");
  CHECK(response.status == 500);
  CHECK(problem_body(response).contains("request_id"));
}

namespace {

// What a hook is given, as text.
std::string shown(const ErrorAnswer& answer) {
  std::string text = std::to_string(answer.status) + " " + answer.detail;
  for (const auto& [name, value] : answer.fields) text += " " + name + "=" + value;
  return text;
}

void failing_routes(App& app) {
  app.get("/redis", [](Request&) -> Response { throw RedisUnavailable("secret address"); });
  app.get("/login", [](Request&) -> Response { throw unauthorized("who are you?"); });
  app.get("/plain-401", [](Request&) -> Response { throw HttpError(401, "no challenge"); });
  app.get("/mistake", [](Request&) -> Response { throw std::runtime_error("secret"); });
  app.get("/fields", [](Request&) -> Task<Response> {
    co_await sleep_for(1ms);
    throw HttpError(415, "send CSV").set("Accept", "text/csv");
  });
  app.get("/several", [](Request&) -> Response {
    throw unauthorized("who are you?").set("WWW-Authenticate", "Basic realm=\"shop\"");
  });
  app.post("/small", [](Request&) { return no_content(); }).max_body(1);
}

}  // namespace

TEST_CASE("errors carry the fields that belong to them", "[application][errors]") {
  TestClient client(failing_routes);
  CHECK(client.get("/login").status == 401);
  CHECK(client.get("/login").header("WWW-Authenticate") == "Bearer");
  CHECK(client.get("/plain-401").header("WWW-Authenticate") == "Bearer");  // it must have one
  CHECK(client.get("/fields").header("Accept") == "text/csv");
  const auto several = client.get("/several");
  const std::pair<std::string, std::string> second("WWW-Authenticate", "Basic realm=\"shop\"");
  CHECK(several.header("WWW-Authenticate") == "Bearer");
  CHECK(std::ranges::find(several.headers, second) != several.headers.end());
  CHECK(client.get("/redis").header("Retry-After") == "1");
  CHECK_THROWS_AS(HttpError(400, "x").set("X", "a\r\nY: b"), std::invalid_argument);
  CHECK(unauthorized("x", "Basic realm=\"shop\"").fields().front().second == "Basic realm=\"shop\"");
}

TEST_CASE("401, 405 and 426 have the fields that they must have, whoever makes them", "[application][errors]") {
  const auto refuse = [](Request& request) -> Response {
    const int status = request.query<int>("status").value();
    if (request.query("throw")) throw HttpError(status, "no");
    return problem(status).set("X-Made", "by the handler");
  };
  TestClient client([refuse](App& app) {
    app.get("/a", refuse);
    app.post("/a", refuse);
    app.get("/own", [](Request&) { return text("a", 405).set("Allow", "PUT"); });
    app.get("/basic", [](Request&) { return text("a", 401).set("WWW-Authenticate", "Basic realm=\"shop\""); });
    app.get("/other", [](Request&) { return text("a", 426).set("Upgrade", "TLS/1.2"); });
    app.on_error([](Request&, const ErrorAnswer& answer) { return text(shown(answer), answer.status); });
  });
  for (const std::string made : {"", "&throw"}) {
    CHECK(client.get("/a?status=401" + made).header("WWW-Authenticate") == "Bearer");
    CHECK(client.post("/a?status=405" + made).header("Allow") == "GET, HEAD, OPTIONS");
    CHECK(client.get("/a?status=405" + made).header("Allow") == "OPTIONS, POST");
    CHECK(client.request("HEAD", "/a?status=405" + made).header("Allow") == "OPTIONS, POST");
    CHECK(client.get("/a?status=426" + made).header("Upgrade") == "websocket");
  }
  CHECK(client.get("/own").header("Allow") == "PUT");
  CHECK(client.get("/basic").header("WWW-Authenticate") == "Basic realm=\"shop\"");
  CHECK(client.get("/other").header("Upgrade") == "TLS/1.2");
}

TEST_CASE("401, 405 and 426 of after middleware have the fields that they must have", "[application][errors]") {
  const bool waits = GENERATE(false, true);
  TestClient client([waits](App& app) {
    if (waits) {
      app.use([](Request&, Response& response) -> Task<void> {
        co_await sleep_for(1ms);
        response.status(std::stoi(response.body()));
      });
    } else {
      app.use([](Request&, Response& response) { response.status(std::stoi(response.body())); });
    }
    app.get("/{status}", [](Request& request) { return text(request.param<std::string>("status")); });
    app.post("/{status}", [](Request&) { return text("200"); });
  });
  CHECK(client.get("/401").header("WWW-Authenticate") == "Bearer");
  CHECK(client.get("/405").header("Allow") == "OPTIONS, POST");
  CHECK(client.get("/426").header("Upgrade") == "websocket");
  CHECK(client.get("/403").header("WWW-Authenticate").empty());
}

TEST_CASE("one hook answers every error, with status, detail and fields", "[application][hooks]") {
  const auto setup = [](App& app) {
    failing_routes(app);
    app.on_error([](Request&, const ErrorAnswer& answer) { return text(shown(answer), answer.status); });
  };
  TestClient client(setup);
  const auto redis = client.get("/redis");
  CHECK(redis.body == "503 the server's storage is unavailable at the moment Retry-After=1");
  CHECK(redis.header("Retry-After") == "1");
  CHECK(client.get("/login").body == "401 who are you? WWW-Authenticate=Bearer");
  CHECK(client.get("/login").header("WWW-Authenticate") == "Bearer");
  CHECK(client.get("/mistake").body == "500 ");
  CHECK(client.get("/nowhere").body == "404 ");
  CHECK(client.post("/small", "too large").status == 413);
  const auto wrong_method = client.post("/login");
  CHECK(wrong_method.body == "405 this path does not support the method Allow=GET, HEAD, OPTIONS");
  CHECK(wrong_method.header("Allow") == "GET, HEAD, OPTIONS");
}

TEST_CASE("a hook with an exception sees Redis being down as a 503 that keeps Retry-After", "[application][hooks]") {
  TestClient client([](App& app) {
    failing_routes(app);
    app.on_error([](Request&, std::exception_ptr error) {
      try {
        std::rethrow_exception(error);
      } catch (const HttpError& known) {
        return html("<h1>" + std::to_string(known.status()) + "</h1>", known.status());
      } catch (...) {
        return html("<h1>Sorry</h1>", 500);
      }
    });
  });
  const auto redis = client.get("/redis");
  CHECK(redis.status == 503);
  CHECK(redis.body == "<h1>503</h1>");
  CHECK(redis.header("Retry-After") == "1");
  CHECK(client.get("/mistake").body == "<h1>Sorry</h1>");
}

TEST_CASE("a hook and after middleware may wait", "[application][hooks]") {
  TestClient client([](App& app) {
    failing_routes(app);
    app.get("/fine", [](Request&) { return text("fine"); });
    app.get("/fails-later", [](Request&) -> Task<Response> { throw conflict("x"); });
    app.on_error([](Request&, const ErrorAnswer& answer) -> Task<Response> {
      co_await sleep_for(1ms);
      if (answer.status == 409) throw std::runtime_error("the hook fails");
      co_return text("hook " + std::to_string(answer.status), answer.status);
    });
    app.use([](Request&, Response& response) -> Task<void> {
      co_await sleep_for(1ms);
      response.set("X-After", "waited");
    });
  });
  CHECK(client.get("/fine").body == "fine");
  CHECK(client.get("/fine").header("X-After") == "waited");
  for (const char* path : {"/mistake", "/nowhere", "/redis", "/fields"}) {
    INFO(path);
    const auto response = client.get(path);
    CHECK(response.body == "hook " + std::to_string(response.status));
    CHECK(response.header("X-After") == "waited");
  }
  CHECK(client.request("OPTIONS", "/fine").header("X-After") == "waited");
  CHECK(client.get("/fails-later").status == 500);
}

TEST_CASE("an error hook that never ends still leads to a response", "[application][hooks]") {
  TestClient client([](App& app) {
    app.get("/slow",
            [](Request&) -> Task<Response> {
              co_await sleep_for(1h);
              co_return no_content();
            })
        .deadline(5ms);
    app.on_error([](Request&, const ErrorAnswer&) -> Task<Response> {
      co_await sleep_for(1h);
      co_return no_content();
    });
  });
  CHECK(client.get("/slow").status == 504);
}
