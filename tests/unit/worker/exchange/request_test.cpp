// What a handler reads from a request: query, cookies, and bodies that it cannot decode.
#include <cstdint>
#include <string>

#include "pronghorn/json.h"
#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"

using namespace pronghorn;

namespace {

std::string join(const auto& values) {
  std::string text;
  for (const auto& value : values) text.append(value).append(";");
  return text;
}

void app(App& app) {
  app.get("/tags", [](Request& request) { return text(join(request.query_all("tag"))); });
  app.get("/numbers", [](Request& request) {
    int sum = 0;
    for (const int number : request.query_all<int>("n")) sum += number;
    return text(std::to_string(sum));
  });
  app.get("/cookies", [](Request& request) {
    return text(std::string(request.cookie("a").value_or("none")) + "|" + join(request.cookies("a")));
  });
  app.get("/items/{n}", [](Request& request) { return text(std::to_string(request.param<std::uint8_t>("n"))); });
  app.post("/form", [](Request& request) -> Task<Response> {
    const Form form = co_await request.form();
    co_return text("form" + std::to_string(form.get<short>("n").value_or(0)));
  });
  app.post("/multipart", [](Request& request) -> Task<Response> {
    Multipart form = co_await request.multipart();
    while (co_await form.next()) {
    }
    co_return text("multipart");
  });
  app.post("/json", [](Request& request) -> Task<Response> {
    co_await json_body(request);
    co_return text("json");
  });
  app.post("/raw", [](Request& request) -> Task<Response> {
    const auto body = co_await request.body();
    co_return text(std::string(body));
  });
}

}  // namespace

TEST_CASE("all query fields of a name can be read, as text or as numbers", "[request]") {
  TestClient client(app);
  CHECK(client.get("/tags?tag=a&x=1&tag=b%20c&tag=&%74ag=d&tags=e").body == "a;b c;;d;");
  CHECK(client.get("/tags").body.empty());
  CHECK(client.get("/tags?tag=%zz").status == 400);
  CHECK(client.get("/numbers?n=1&n=20&n=300").body == "321");
  CHECK(client.get("/numbers?n=1&n=x").status == 400);
}

TEST_CASE("a number that the handler's type cannot hold is 400, in the path, the query and a form", "[request]") {
  TestClient client(app);
  CHECK(client.get("/numbers?n=2147483647").body == "2147483647");
  CHECK(client.get("/numbers?n=2147483648").status == 400);
  CHECK(client.get("/numbers?n=4294967297").status == 400);
  CHECK(client.get("/items/255").body == "255");
  CHECK(client.get("/items/256").status == 400);
  CHECK(client.get("/items/-1").status == 400);
  CHECK(client.post("/form", "n=-32768", "application/x-www-form-urlencoded").body == "form-32768");
  CHECK(client.post("/form", "n=32768", "application/x-www-form-urlencoded").status == 400);
}

TEST_CASE("all cookies of a name can be read, in the order in which the client sent them", "[request]") {
  TestClient client(app);
  CHECK(client.get("/cookies", {{"Cookie", "a=1; b=2; a=\"3\"; aa=4; a="}}).body == "1|1;3;;");
  CHECK(client.get("/cookies", {{"Cookie", "b=2"}, {"cookie", "a=1"}, {"Cookie", "a = 2"}}).body == "1|1;2;");
  CHECK(client.get("/cookies", {{"Cookie", "a; =1"}}).body == "none|");
}

// A gzipped body used to be "not JSON" (RFC 9110 sections 12.5.3 and 15.5.16).
TEST_CASE("a body with a content coding is answered 415 with the accepted codings", "[request]") {
  TestClient client(app);
  const TestClient::Headers form{{"Content-Type", "application/x-www-form-urlencoded"}};
  const TestClient::Headers parts{{"Content-Type", "multipart/form-data; boundary=XX"}};
  const TestClient::Headers json{{"Content-Type", "application/json"}};
  struct Case {
    const char* path;
    TestClient::Headers type;
    const char* body;
  };
  for (const auto& [path, type, body] :
       {Case{"/form", form, "a=1"}, Case{"/multipart", parts, "--XX--\r\n"}, Case{"/json", json, "{}"}}) {
    for (const char* coding : {"gzip", "br", "identity, gzip", "GZIP", "unknown"}) {
      CAPTURE(path, coding);
      TestClient::Headers headers = type;
      headers.emplace_back("Content-Encoding", coding);
      const auto refused = client.request("POST", path, body, headers);
      CHECK(refused.status == 415);
      CHECK(refused.header("accept-encoding") == "identity");
    }
    TestClient::Headers headers = type;
    headers.emplace_back("Content-Encoding", "identity");
    CHECK(client.request("POST", path, body, headers).status == 200);
  }
  CHECK(client.request("POST", "/raw", "\x1f\x8b", {{"Content-Encoding", "gzip"}}).body == "\x1f\x8b");
}
