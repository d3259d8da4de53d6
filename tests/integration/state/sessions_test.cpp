// Logging in and out with the demo, as a browser would.
#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

struct Setup {
  RedisProcess redis;
  ServerProcess server{{.workers = 2, .redis = redis.url()}};
  Setup() { REQUIRE(server.wait_ready_status(200)); }
};

}  // namespace

TEST_CASE("login, me and logout", "[session]") {
  Setup setup;
  Browser browser(setup.server.address());
  CHECK(browser.get("/me").status == 401);
  CHECK(browser.post("/login", "user=Ann").status == 200);
  CHECK(browser.get("/me").json() == nlohmann::json{{"user", "Ann"}});
  CHECK(browser.post("/logout").status == 204);
  CHECK(browser.cookie("session").empty());
  CHECK(browser.get("/me").status == 401);
}

TEST_CASE("login accepts a form or JSON and reports what is missing", "[session]") {
  Setup setup;
  Browser browser(setup.server.address());
  CHECK(browser.post("/login", R"({"user":"Bea"})", "application/json").status == 200);
  CHECK(browser.get("/me").json().at("user") == "Bea");
  CHECK(browser.post("/login", "user=C%C3%A9cile+D%26E").status == 200);
  CHECK(browser.get("/me").json().at("user") ==
        "C\xc3\xa9"
        "cile D&E");
  for (const char* body : {"", "user=", "name=Ann"}) CHECK(browser.post("/login", body).status == 400);
  CHECK(browser.post("/login", "{\"user\":", "application/json").status == 400);
  CHECK(browser.post("/login", "user", "text/plain").status == 415);
}

TEST_CASE("login gives the session a new id, keeps its fields, and invalidates the old id", "[session]") {
  Setup setup;
  Browser browser(setup.server.address());
  CHECK(browser.get("/visits").json().at("visits") == 1);
  const std::string before = browser.cookie("session");
  REQUIRE_FALSE(before.empty());
  CHECK(browser.post("/login", "user=Ann").status == 200);
  const std::string after = browser.cookie("session");
  CHECK(after != before);
  CHECK(browser.get("/visits").json().at("visits") == 2);

  Browser thief(setup.server.address());
  thief.set_cookie("session", before);
  CHECK(thief.get("/me").status == 401);
  CHECK(thief.get("/visits").json().at("visits") == 1);
}

TEST_CASE("a session id is invalid after logout", "[session]") {
  Setup setup;
  Browser browser(setup.server.address());
  (void)browser.post("/login", "user=Ann");
  Browser copy(setup.server.address());
  copy.set_cookie("session", browser.cookie("session"));
  CHECK(copy.get("/me").status == 200);
  (void)browser.post("/logout");
  CHECK(copy.get("/me").status == 401);
}

TEST_CASE("logging out everywhere ends the user's sessions on all clients and workers", "[session]") {
  Setup setup;
  std::vector<Browser> browsers;
  for (int i = 0; i < 6; ++i) {
    (void)browsers.emplace_back(setup.server.address()).post("/login", i < 5 ? "user=Ann" : "user=Bea");
  }
  CHECK(browsers[0].post("/logout/everywhere").status == 204);
  for (int i = 0; i < 6; ++i) CHECK(browsers[static_cast<std::size_t>(i)].get("/me").status == (i < 5 ? 401 : 200));
  (void)browsers[1].post("/login", "user=Ann");
  CHECK(browsers[1].get("/me").status == 200);
  CHECK(browsers[2].post("/logout/everywhere").status == 204);  // nobody is logged in there
  CHECK(browsers[1].get("/me").status == 200);
}

TEST_CASE("the session cookie is HttpOnly and SameSite", "[session]") {
  Setup setup;
  const std::string cookie = get(setup.server.address(), "/visits").header("Set-Cookie");
  CHECK(cookie.starts_with("session="));
  CHECK(cookie.substr(0, cookie.find(';')).size() == std::string("session=").size() + 43);  // 32 bytes in base64url
  CHECK(cookie.find("HttpOnly") != std::string::npos);
  CHECK(cookie.find("SameSite=Lax") != std::string::npos);
  CHECK(cookie.find("Path=/") != std::string::npos);
}

TEST_CASE("an invented session id is not adopted", "[session]") {
  Setup setup;
  for (const std::string& invented : {std::string(43, 'A'), std::string("x"), std::string(4000, 'A'), std::string("*"),
                                      std::string("../../etc/passwd"), std::string("a{b}:s:c")}) {
    INFO(invented.substr(0, 50));
    Browser browser(setup.server.address());
    browser.set_cookie("session", invented);
    CHECK(browser.get("/visits").json().at("visits") == 1);
    CHECK(browser.cookie("session") != invented);
  }
}

TEST_CASE("parallel requests of one session do not lose each other's changes", "[session]") {
  Setup setup;
  Browser browser(setup.server.address());
  (void)browser.get("/visits");
  std::vector<HttpConnection> connections;
  for (int i = 0; i < 50; ++i) {
    connections.emplace_back(setup.server.address())
        .send_raw("GET /visits HTTP/1.1\r\nHost: a\r\nCookie: " + browser.cookie_header().at(0).second + "\r\n\r\n");
  }
  for (HttpConnection& connection : connections) CHECK(connection.read_response().status == 200);
  CHECK(browser.get("/visits").json().at("visits") == 52);
}

TEST_CASE("a request without a session stores nothing", "[session]") {
  Setup setup;
  CHECK_FALSE(get(setup.server.address(), "/hello").has("Set-Cookie"));
  CHECK_FALSE(get(setup.server.address(), "/me").has("Set-Cookie"));
  CHECK(setup.redis.command({"KEYS", "*:s:*"}).empty());
}

TEST_CASE("keys in Redis begin with the name of the application", "[session]") {
  Setup setup;
  Browser browser(setup.server.address());
  (void)browser.get("/visits");
  const std::string keys = setup.redis.command({"KEYS", "demo:s:*"});
  CHECK(keys.find(browser.cookie("session")) != std::string::npos);
  CHECK(std::stol(setup.redis.command({"TTL", keys})) <= 600);
  (void)browser.get("/visits");
  CHECK(std::stol(setup.redis.command({"TTL", keys})) > 86'000);
}
