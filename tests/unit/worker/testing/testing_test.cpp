#include "pronghorn/testing.h"

#include <string>

#include "pronghorn/pronghorn.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

Task<Response> echo(Request& request) {
  const auto body = co_await request.body();
  std::string answer(request.method());
  answer.append(" ").append(request.header("Content-Type").value_or("none")).append(" ").append(body);
  co_return text(answer);
}

Task<Response> show_form(Request& request) {
  const Form form = co_await request.form();
  std::string answer;
  for (const auto& [name, value] : form.fields()) answer.append(name).append("=").append(value).append(";");
  answer += std::to_string(form.get<int>("n").value_or(-1));
  for (const int number : form.get_all<int>("n")) answer += "," + std::to_string(number);
  co_return text(answer);
}

Task<Response> show_parts(Request& request) {
  std::string answer;
  Multipart form = co_await request.multipart();
  while (auto part = co_await form.next()) {
    const std::string content = co_await part->body();
    answer.append(part->name()).append("|").append(part->filename().value_or("-"));
    answer.append("|").append(part->content_type()).append("|").append(content).append(";");
  }
  co_return text(answer);
}

Task<Response> count(Request& request) {
  const Reply reply = co_await request.redis().command("INCR", "count");
  co_return text(std::to_string(reply.integer()));
}

Task<Response> visits(Request& request) {
  Session session = co_await request.session();
  const auto number = co_await session.increment("visits");
  co_return text(std::to_string(number));
}

Task<void> send_numbers(EventWriter& out) {
  for (int n = 0;; ++n) {
    const std::string number = std::to_string(n);
    co_await out.send({.data = number});
    if (n % 1000 == 999) co_await sleep_for(1ms);
  }
}

void setup(App& app) {
  app.put("/echo", echo);
  app.patch("/echo", echo);
  app.post("/echo", echo);
  app.del("/echo", echo);
  app.post("/form", show_form);
  app.post("/parts", show_parts);
  app.get("/who", [](Request& request) { return text(request.client().address); });
  app.get("/tags", [](Request& request) {
    std::string answer;
    for (const std::string& tag : request.query_all("tag")) answer += tag + ";";
    return text(answer);
  });
  app.get("/numbers", [](Request& request) { return text(std::to_string(request.query_all<int>("n").size())); });
  app.get("/count", count);
  app.get("/visits", visits);
  app.get("/events", [](Request&) { return events(send_numbers); });
}

}  // namespace

TEST_CASE("every method has a call of its own", "[testing]") {
  TestClient client(setup);
  CHECK(client.put("/echo", "a").body == "PUT application/json a");
  CHECK(client.patch("/echo", "a", "text/plain").body == "PATCH text/plain a");
  CHECK(client.post("/echo", "a", "text/plain", {{"Content-Type", "text/css"}}).body == "POST text/css a");
  CHECK(client.del("/echo").body == "DELETE none ");
}

TEST_CASE("forms are sent as a browser sends them", "[testing]") {
  TestClient client(setup);
  CHECK(client.form("/form", {{"a b", "1&2=3"}, {"\xc3\xa9", "+%"}, {"n", "7"}, {"n", "8"}}).body ==
        "a b=1&2=3;\xc3\xa9=+%;n=7;n=8;7,7,8");
  CHECK(client.form("/form", {{"n", "seven"}}).status == 400);
  CHECK(client.form("/form", {}).body == "-1");
  CHECK(client
            .multipart("/parts",
                       {{.name = "title", .content = "Hat"},
                        {.name = "a\"b", .content = "\r\n--x", .filename = "h.png", .content_type = "image/png"}})
            .body == "title|-||Hat;a%22b|h.png|image/png|\r\n--x;");
}

TEST_CASE("repeated query parameters can be read", "[testing][request]") {
  TestClient client(setup);
  CHECK(client.get("/tags?tag=a&x=1&tag=b+c&tag=").body == "a;b c;;");
  CHECK(client.get("/tags").body.empty());
  CHECK(client.get("/numbers?n=1&n=2").body == "2");
  CHECK(client.get("/numbers?n=1&n=two").status == 400);
  CHECK(client.get("/tags?tag=%zz").status == 400);
}

TEST_CASE("requests come from the address that the test names", "[testing]") {
  TestClient client(setup, {.client_address = "192.0.2.7"});
  CHECK(client.get("/who").body == "192.0.2.7");
  client.client_address("2001:db8::1");
  CHECK(client.get("/who").body == "2001:db8::1");
}

TEST_CASE("requests come over TLS, with the client certificate that the test names", "[testing]") {
  TestClient client([](App& app) {
    app.get("/whom", [](Request& request) {
      const ClientCertificate* const certificate = request.client_certificate();
      return text(std::string(request.scheme()) + " " + (certificate != nullptr ? certificate->subject : "nobody"));
    });
  });
  CHECK(client.get("/whom").body == "http nobody");
  client.over_tls();
  CHECK(client.get("/whom").body == "https nobody");
  client.over_tls(ClientCertificate{.subject = "CN=alice",
                                    .issuer = "CN=authority",
                                    .serial = "01",
                                    .fingerprint = std::string(64, '0'),
                                    .not_after = {},
                                    .names = {}});
  CHECK(client.get("/whom").body == "https CN=alice");
}

// Handlers kept the worker's Redis in a global, which the second client overwrote and destroyed.
TEST_CASE("two clients with a Redis each work at the same time", "[testing][redis]") {
  const TestOptions options{.redis = "temporary"};
  TestClient first(setup, options);
  {
    TestClient second(setup, options);
    CHECK(first.get("/count").body == "1");
    CHECK(second.get("/count").body == "1");
    CHECK(first.get("/count").body == "2");
    CHECK(second.get("/visits").body == "1");
    CHECK(second.get("/visits").body == "2");
  }
  CHECK(first.get("/count").body == "3");
  CHECK(first.get("/visits").body == "1");
}

TEST_CASE("without a Redis, redis() says so and sessions are 503", "[testing][redis]") {
  TestClient client(setup);
  CHECK(client.get("/count").status == 500);
  CHECK(client.get("/visits").status == 503);
}

TEST_CASE("a client takes as many events as it wants", "[testing][events]") {
  TestClient client(setup);
  const auto events = client.events("/events", 20'000);
  REQUIRE(events.size() == 20'000);
  CHECK(events.back().data == "19999");
  CHECK_THROWS_WITH(client.events("/who", 1), "TestClient: GET /who is not a stream of events: status 200");
}
