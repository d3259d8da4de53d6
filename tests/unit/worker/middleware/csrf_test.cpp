#include "pronghorn/csrf.h"

#include <stdexcept>
#include <string>

#include "pronghorn/pronghorn.h"
#include "pronghorn/testing.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"

using namespace pronghorn;
using pronghorn::test::RedisProcess;

namespace {

Task<Response> page(Request& request) {
  std::string token = co_await csrf_token(request);
  co_return text(std::move(token));
}

Task<Response> echo(Request& request) {
  std::string whole;
  while (const auto piece = co_await request.read()) whole += *piece;
  co_return text(std::move(whole));
}

void shop(App& app) {
  app.use(csrf({.origins = {"https://partner.example"}}));
  app.get("/page", page);
  app.post("/buy", [](Request& request) -> Task<Response> {
    const Form form = co_await request.form();
    co_return text(form.get("item").value_or("-"));
  });
  app.post("/echo", echo);
  app.post("/upload", [](Request& request) -> Task<Response> {
    Multipart form = co_await request.multipart();
    std::string seen;
    while (auto part = co_await form.next()) {
      const std::string content = co_await part->body();
      seen += part->name() + "=" + std::to_string(content.size()) + " ";
    }
    co_return text(std::move(seen));
  });
  app.route("PURGE", "/echo", echo);
  app.post("/login/{user}", [](Request& request) -> Task<Response> {
    Session session = co_await request.session();
    session.login(request.param("user"));
    co_return co_await page(request);
  });
}

class Shop {
 public:
  std::string token() { return client.get("/page").body; }
  int buy(const std::string& token_of_form, TestClient::Headers headers = {}) {
    return client.form("/buy", {{"item", "tea"}, {"_csrf", token_of_form}}, headers).status;
  }

  RedisProcess redis;
  TestClient client{shop, {.redis = redis.url()}};
};

}  // namespace

TEST_CASE("a form with the token of its session is accepted", "[csrf]") {
  Shop shop;
  const std::string token = shop.token();
  CHECK(token.size() == 86);
  const auto response = shop.client.form("/buy", {{"item", "tea"}, {"_csrf", token}});
  CHECK(response.status == 200);
  CHECK(response.body == "tea");
  const std::string another = shop.token();
  CHECK(another != token);
  CHECK(shop.buy(another) == 200);
  CHECK(shop.buy(token) == 200);
  CHECK(shop.client.post("/echo", "_csrf=" + token, "application/x-www-form-urlencoded").body == "_csrf=" + token);
  CHECK(shop.client.post("/echo", "{}", "application/json", {{"x-csrf-token", token}}).body == "{}");
}

TEST_CASE("a multipart form carries the token before its files, and is read by the handler from its beginning",
          "[csrf]") {
  Shop shop;
  const std::string token = shop.token();
  const TestPart field{.name = "_csrf", .content = token};
  const TestPart note{.name = "note", .content = std::string(1'000, 'n')};
  const TestPart photo{.name = "photo", .content = std::string(300'000, 'x'), .filename = "a.png"};
  const auto upload = [&shop](const std::vector<TestPart>& parts) { return shop.client.multipart("/upload", parts); };
  CHECK(upload({field, photo}).body == "_csrf=86 photo=300000 ");
  CHECK(upload({note, field, photo}).body == "note=1000 _csrf=86 photo=300000 ");
  CHECK(upload({field}).status == 200);
  CHECK(upload({field, {.name = "_csrf", .content = "another"}}).status == 200);

  CHECK(upload({photo, field}).status == 403);
  CHECK(upload({{.name = "_csrf", .content = token, .filename = "token.txt"}}).status == 403);
  CHECK(upload({{.name = "_csrf", .content = token + "A"}, photo}).status == 403);
  CHECK(upload({{.name = "_csrf", .content = ""}, field}).status == 403);
  CHECK(upload({note}).status == 403);
  CHECK(upload({{.name = "note", .content = std::string(200'000, 'n')}, field}).status == 403);

  const std::string part = "--b\r\nContent-Disposition: form-data; name=\"_csrf\"\r\n\r\n" + token;
  const auto post = [&shop](const std::string& body, const std::string& type) {
    return shop.client.post("/echo", body, type).status;
  };
  CHECK(post(part + "\r\n--b--\r\n", "multipart/form-data; boundary=b") == 200);
  CHECK(post(part, "multipart/form-data; boundary=b") == 403);  // cut
  CHECK(post(part + "\r\n--b--\r\n", "multipart/form-data") == 403);
  CHECK(post("--b\r\nnonsense\r\n\r\n" + token, "multipart/form-data; boundary=b") == 403);
  CHECK(post("", "multipart/form-data; boundary=b") == 403);
}

TEST_CASE("a form without the token, or with that of another session, is forbidden", "[csrf]") {
  Shop shop;
  CHECK(shop.buy("") == 403);  // no session
  const std::string token = shop.token();
  std::string changed = token;
  changed[50] = changed[50] == 'A' ? 'B' : 'A';
  for (const std::string& wrong : {std::string(), changed, token + "A", token.substr(1), std::string(86, 'A'),
                                   std::string(43, 'A'), std::string(86, '*')}) {
    CHECK(shop.buy(wrong) == 403);
  }
  const auto refused = shop.client.post("/echo", "{}");
  CHECK(refused.status == 403);
  CHECK(refused.header("content-type") == "application/problem+json");
  CHECK(shop.client.request("PURGE", "/echo").status == 403);
  CHECK(shop.client.get("/page").status == 200);
  shop.client.clear_cookies();
  CHECK(shop.buy(token) == 403);
  shop.token();
  CHECK(shop.buy(token) == 403);
}

TEST_CASE("a login ends the tokens of the session as it was before", "[csrf]") {
  // Whoever had given the client the session that it logged in with knew the token of the user's session.
  Shop shop;
  const std::string before = shop.token();
  const auto log_in = [&](const std::string& user, const std::string& token) {
    return shop.client.post("/login/" + user, "", "", {{"X-CSRF-Token", token}});
  };
  const auto logged_in = log_in("ada", before);
  CHECK(logged_in.status == 200);
  CHECK(shop.buy(before) == 403);
  CHECK(shop.buy(logged_in.body) == 200);
  CHECK(shop.buy(shop.token()) == 200);
  CHECK(log_in("ada", logged_in.body).status == 200);  // once more, as before a payment
  CHECK(shop.buy(logged_in.body) == 200);
  CHECK(log_in("eve", logged_in.body).status == 200);
  CHECK(shop.buy(logged_in.body) == 403);
  CHECK(shop.buy(shop.token()) == 200);
}

TEST_CASE("a request that another site has sent is forbidden even with the token", "[csrf]") {
  Shop shop;
  const std::string token = shop.token();
  CHECK(shop.buy(token, {{"Sec-Fetch-Site", "same-origin"}}) == 200);
  CHECK(shop.buy(token, {{"Sec-Fetch-Site", "none"}}) == 200);
  CHECK(shop.buy(token, {{"Sec-Fetch-Site", "same-site"}}) == 403);
  CHECK(shop.buy(token, {{"Sec-Fetch-Site", "cross-site"}}) == 403);
  for (const char* origin : {"null", "https://evil.example", "http://localhost.evil.example", "", "ftp://localhost"}) {
    CAPTURE(origin);
    CHECK(shop.buy(token, {{"Origin", origin}, {"Host", "localhost"}}) == 403);
  }
  CHECK(shop.buy(token, {{"Origin", "http://localhost"}, {"Host", "localhost"}}) == 200);
  CHECK(shop.buy(token, {{"Origin", "https://partner.example"}, {"Sec-Fetch-Site", "cross-site"}}) == 200);
}

// Browsers name no default port in Origin, but proxies do in X-Forwarded-Host, and some clients in Host.
TEST_CASE("a page of the application is its own also if the host names the default port", "[csrf]") {
  Shop shop;
  const std::string token = shop.token();
  CHECK(shop.buy(token, {{"Origin", "http://shop.example"}, {"Host", "shop.example:80"}}) == 200);
  CHECK(shop.buy(token, {{"Origin", "http://shop.example"}, {"Host", "Shop.example:"}}) == 200);
  CHECK(shop.buy(token, {{"Origin", "http://[::1]"}, {"Host", "[::1]:80"}}) == 200);
  CHECK(shop.buy(token, {{"Origin", "http://shop.example:8080"}, {"Host", "shop.example:8080"}}) == 200);
  CHECK(shop.buy(token, {{"Origin", "http://shop.example:8080"}, {"Host", "shop.example"}}) == 403);
  CHECK(shop.buy(token, {{"Origin", "http://shop.example"}, {"Host", "shop.example:443"}}) == 403);
  shop.client.over_tls();
  const std::string secure = shop.token();
  CHECK(shop.buy(secure, {{"Origin", "https://shop.example"}, {"Host", "shop.example:443"}}) == 200);
  CHECK(shop.buy(secure, {{"Origin", "http://shop.example"}, {"Host", "shop.example:443"}}) == 403);
}

TEST_CASE("a request with two fields that say who has sent it is forbidden", "[csrf]") {
  Shop shop;
  const std::string token = shop.token();
  CHECK(shop.buy(token, {{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "cross-site"}}) == 403);
  CHECK(shop.buy(token, {{"Origin", "http://a"}, {"Origin", "http://b"}, {"Host", "a"}}) == 403);
}

TEST_CASE("CSRF options that make no sense end the start", "[csrf]") {
  CHECK_THROWS_AS(csrf({.field = ""}), std::invalid_argument);
  CHECK_THROWS_AS(csrf({.header = "a b"}), std::invalid_argument);
  for (const char* origin :
       {"shop.example", "https://", "https://a/", "://a", "https://a b", "https://A", "https://a:443", "http://a:80"}) {
    CHECK_THROWS_AS(csrf({.origins = {origin}}), std::invalid_argument);
  }
}
