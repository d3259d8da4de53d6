// Routes with Idempotency-Key, with a real Redis.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"

using namespace pronghorn;
using namespace std::chrono_literals;
using pronghorn::test::RedisProcess;

namespace {

int runs = 0;
int guard_runs = 0;
int after_runs = 0;

Response made(Request&) {
  const std::string number = std::to_string(++runs);
  return text("order " + number, 201).set("Location", "/orders/" + number);
}

void shop(App& app) {
  app.use([](Request&, Response& response) {
    ++after_runs;
    response.set("X-After", "yes");
  });
  app.post("/orders", made).idempotent();
  app.patch("/orders/{id}", made).idempotent({.required = true, .keep = 1h});
  app.post("/other", made).idempotent();
  app.post("/echo",
           [](Request& request) -> Task<Response> {
             ++runs;
             const std::string_view whole = co_await request.body();
             std::string body(whole);
             co_return text(std::move(body));
           })
      .idempotent();
  app.post("/pieces",
           [](Request& request) -> Task<Response> {
             std::string body;
             while (const auto piece = co_await request.read()) body += *piece;
             co_return text(std::move(body));
           })
      .idempotent();
  app.post("/fails",
           [](Request& request) -> Response {
             ++runs;
             const auto how = request.query<int>("status").value_or(0);
             if (how == 0) throw std::runtime_error("told in the log of this test");
             if (how == 1) throw bad_request("thrown");
             return problem(how);
           })
      .idempotent();
  app.post("/large", [](Request&) { return bytes(std::string(300 * 1024, std::to_string(++runs)[0])); }).idempotent();
  app.post("/login",
           [](Request& request) -> Task<Response> {
             Session session = co_await request.session();
             const auto logins = co_await session.increment("logins");
             if (request.query<bool>("rotate").value_or(false)) session.rotate();
             co_return text(std::to_string(logins)).cookie("seen", "1");
           })
      .idempotent({.scope = [](Request&) { return std::string("everybody"); }});
  app.post("/scoped", made).idempotent({.scope = [](Request& request) {
    return std::string(request.header("x-user").value_or(""));
  }});
  auto guarded = app.group("/guarded");
  guarded.use([](Request& request) -> std::optional<Response> {
    ++guard_runs;
    if (!request.header("x-user")) return problem(401);
    return std::nullopt;
  });
  guarded.post("/orders", made).idempotent();
}

TestClient::Headers with(std::string key) { return {{"Idempotency-Key", std::move(key)}}; }

TestResponse send(TestClient& client, std::string_view target, const std::string& key, std::string_view body = "{}") {
  return client.post(target, body, "application/json", with(key));
}

long session_cookies(const TestResponse& response) {
  return std::ranges::count_if(response.headers, [](const auto& header) {
    return (header.first == "Set-Cookie" || header.first == "set-cookie") && header.second.starts_with("session=");
  });
}

// What setup says to options that make no sense.
std::string refusal(const std::function<void(App&)>& setup) {
  try {
    const TestClient client(setup);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a request that is repeated with its key gets the response of the first", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  runs = 0;
  after_runs = 0;
  const auto first = send(client, "/orders", "k1");
  CHECK(first.status == 201);
  CHECK(first.header("idempotency-replayed").empty());
  for (const char* key : {"k1", "\"k1\""}) {
    const auto again = send(client, "/orders", key);
    CHECK(again.status == 201);
    CHECK(again.body == first.body);
    CHECK(again.header("location") == first.header("location"));
    CHECK(again.header("content-type") == first.header("content-type"));
    CHECK(again.header("idempotency-replayed") == "true");
    CHECK(again.header("x-after") == "yes");
  }
  CHECK(runs == 1);
  CHECK(after_runs == 3);
  CHECK(send(client, "/orders", "k2").body == "order 2");
  CHECK(client.post("/orders", "{}").body == "order 3");
  CHECK(client.post("/orders", "{}").body == "order 4");
}

TEST_CASE("a key belongs to one payload and one target", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  runs = 0;
  CHECK(send(client, "/orders", "k").status == 201);
  const auto other = send(client, "/orders", "k", "{\"n\":2}");
  CHECK(other.status == 422);
  CHECK(other.header("content-type") == "application/problem+json");
  CHECK(other.body.find("request_id") != std::string::npos);
  CHECK(send(client, "/orders?n=2", "k").status == 422);
  CHECK(client.patch("/orders/1", "{}", "application/json", with("k")).status == 201);
  CHECK(client.patch("/orders/2", "{}", "application/json", with("k")).status == 422);
  CHECK(runs == 2);
}

TEST_CASE("routes have keys of their own", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  runs = 0;
  CHECK(send(client, "/orders", "k").body == "order 1");
  CHECK(send(client, "/other", "k").body == "order 2");
}

TEST_CASE("a malformed key is refused, and so is a missing one where it is required", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  runs = 0;
  CHECK(send(client, "/orders", "a b").status == 400);
  CHECK(send(client, "/orders", "\"open").status == 400);
  CHECK(client.post("/orders", "{}", "application/json", {{"Idempotency-Key", "a"}, {"Idempotency-Key", "a"}}).status ==
        400);
  const auto missing = client.patch("/orders/1", "{}");
  CHECK(missing.status == 400);
  CHECK(missing.body.find("Idempotency-Key") != std::string::npos);
  CHECK(runs == 0);
}

TEST_CASE("while a request runs, its repetition is a conflict", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  CHECK(send(client, "/orders", "k").status == 201);
  const std::string key = "test:i:POST/orders:-:k";
  redis.command({"HSET", key, "claim", "elsewhere:1:1/1", "until", "9999999999999"});
  const auto conflict = send(client, "/orders", "k");
  CHECK(conflict.status == 409);
  CHECK(conflict.header("retry-after") == "1");
  CHECK(conflict.header("content-type") == "application/problem+json");
  CHECK(send(client, "/orders", "k", "other").status == 422);
}

TEST_CASE("the handler can read the body in each way", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  const std::string body(100'000, 'b');
  for (const char* target : {"/echo", "/pieces"}) {
    CHECK(send(client, target, "k", body).body == body);
    CHECK(send(client, target, "k", body).header("idempotency-replayed") == "true");
    CHECK(client.post(target, body).body == body);
  }
}

TEST_CASE("errors after which trying again may help are not kept, others are", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  for (const int status : {0, 1, 408, 429, 500, 503}) {
    CAPTURE(status);
    runs = 0;
    const std::string target = "/fails?status=" + std::to_string(status);
    const auto first = send(client, target, std::to_string(status));
    CHECK(first.status == (status == 0 ? 500 : status == 1 ? 400 : status));
    CHECK(send(client, target, std::to_string(status)).header("idempotency-replayed").empty());
    CHECK(runs == 2);
  }
  CHECK(send(client, "/fails?status=409", "k").status == 409);
  const auto again = send(client, "/fails?status=409", "k");
  CHECK(again.status == 409);
  CHECK(again.header("idempotency-replayed") == "true");
}

TEST_CASE("a response that cannot be kept is sent once, and its request not carried out again", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  runs = 0;
  CHECK(send(client, "/large", "k").body.size() == 300 * 1024);
  CHECK(send(client, "/large", "k").status == 409);
  CHECK(runs == 1);
}

TEST_CASE("clients with other credentials have keys of their own", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  runs = 0;
  const auto as = [&client](const std::string& credentials) {
    return client.post("/orders", "{}", "application/json", {{"Idempotency-Key", "k"}, {"Authorization", credentials}});
  };
  CHECK(as("Bearer a").body == "order 1");
  CHECK(as("Bearer b").body == "order 2");
  CHECK(send(client, "/orders", "k").body == "order 3");
  CHECK(as("Bearer a").body == "order 1");
}

TEST_CASE("the application can say whom a key belongs to", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  runs = 0;
  const auto as = [&client](const std::string& user, const std::string& credentials) {
    return client.post("/scoped", "{}", "application/json",
                       {{"Idempotency-Key", "k"}, {"X-User", user}, {"Authorization", credentials}});
  };
  CHECK(as("ada", "Bearer a").body == "order 1");
  CHECK(as("ada", "Bearer renewed").body == "order 1");
  CHECK(as("bob", "Bearer a").body == "order 2");
}

TEST_CASE("middleware sees repetitions too, so a guard still protects them", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  runs = guard_runs = 0;
  const TestClient::Headers allowed{{"Idempotency-Key", "k"}, {"X-User", "ada"}};
  CHECK(client.post("/guarded/orders", "{}", "application/json", allowed).status == 201);
  CHECK(send(client, "/guarded/orders", "k").status == 401);
  CHECK(client.post("/guarded/orders", "{}", "application/json", allowed).header("idempotency-replayed") == "true");
  CHECK(runs == 1);
  CHECK(guard_runs == 3);
}

TEST_CASE("a repetition changes no session, and gets no cookie", "[idempotency]") {
  const RedisProcess redis;
  TestClient client(shop, {.redis = redis.url()});
  const auto first = send(client, "/login", "k");
  CHECK(first.body == "1");
  CHECK(session_cookies(first) == 1);
  const auto again = send(client, "/login", "k");
  CHECK(again.body == "1");
  CHECK(again.header("idempotency-replayed") == "true");
  CHECK(again.header("set-cookie").empty());
  const auto rotated = send(client, "/login?rotate=1", "k2");
  CHECK(rotated.body == "2");
  CHECK(session_cookies(rotated) == 1);
  CHECK(send(client, "/login", "k3").body == "3");
}

TEST_CASE("without Redis a request with a key is not carried out", "[idempotency]") {
  TestClient client(shop);
  runs = 0;
  CHECK(send(client, "/orders", "k").status == 503);
  CHECK(runs == 0);
  CHECK(client.post("/orders", "{}").status == 201);
}

TEST_CASE("idempotent() is for POST and PATCH, and keeps keys for a sensible time", "[idempotency]") {
  CHECK(refusal([](App& app) { app.put("/a", made).idempotent(); }) ==
        "route \"PUT /a\": idempotent() is for POST and PATCH");
  CHECK(refusal([](App& app) { app.get("/a", made).idempotent(); }).starts_with("route \"GET /a\": "));
  CHECK(refusal([](App& app) { app.post("/a", made).idempotent({.keep = 0s}); }).find("not 0 ms") != std::string::npos);
  CHECK_FALSE(refusal([](App& app) { app.post("/a", made).idempotent({.keep = 367 * 24h}); }).empty());
  CHECK(refusal([](App& app) { app.post("/a", made).idempotent({.keep = 366 * 24h}); }).empty());
}
