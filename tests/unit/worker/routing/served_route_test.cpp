// The order of middleware and handler.
#include "worker/routing/served_route.h"

#include <string>
#include <vector>

#include "pronghorn/json.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "unit/worker/routing/problem_body.h"

using namespace pronghorn;
using namespace std::chrono_literals;

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

TEST_CASE("a wrap sees what the handler throws", "[application][middleware]") {
  TestClient client(middleware);
  const auto response = client.get("/caught/throws");
  CHECK(response.status == 418);
  CHECK(response.body == "caught it");
}

TEST_CASE("calling next twice is an error of the application", "[application][middleware]") {
  TestClient client(middleware);
  CHECK(trace_of(client, "/doubled") == "root-guard handler root-after 500");
}

TEST_CASE("after middleware that throws costs the response, not the worker", "[application][middleware]") {
  TestClient client(middleware);
  const auto response = client.get("/broken");
  CHECK(response.status == 500);
  CHECK(problem_body(response).contains("request_id"));
}

TEST_CASE("middleware hands values on to the handler", "[application][middleware]") {
  TestClient client(middleware);
  CHECK(client.get("/attached").body == "from the guard");
}
