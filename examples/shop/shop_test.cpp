// The shop in the test's own process, with a Redis of its own: see docs/app/testing.md.
#include "shop.h"

#include <pronghorn/json.h>
#include <pronghorn/testing.h>

#include <cstdlib>
#include <functional>
#include <iostream>

using namespace pronghorn;

namespace {

void check(bool fact, const char* what) {
  if (fact) return;
  std::cerr << "failed: " << what << '\n';
  std::exit(1);
}

nlohmann::json json_of(const TestResponse& response) { return nlohmann::json::parse(response.body); }

// Jobs and events need turns of the loop, which each request gives.
bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 2'000; ++i) {
    if (condition()) return true;
  }
  return false;
}

void sign_up(TestClient& client, const std::string& user) {
  const std::string token = json_of(client.get("/account/form-token")).at("token");
  const auto form = [&](std::string_view target) {
    return client.form(target, {{"user", user}, {"password", "correct horse"}, {"_csrf", token}}).status;
  };
  check(client.form("/account/login", {{"user", user}, {"password", "x"}}).status == 403, "a forged form is refused");
  check(form("/account/login") == 401, "nobody logs in before he has signed up");
  check(form("/account/sign-up") == 204, "a user signs up");
  check(form("/account/sign-up") == 409, "a name is taken once");
  const TestResponse refused =
      client.form("/account/sign-up", {{"user", "\xFF"}, {"password", "correct horse"}, {"_csrf", token}});
  check(refused.status == 400, "a name that no order could hold is refused");
  check(json_of(refused).at("detail") == "user is not UTF-8", "with the reason");
  check(form("/account/login") == 204, "the user logs in");
  check(json_of(client.get("/account")).at("notice") == "Welcome, " + user + "!", "the next page greets him");
  check(json_of(client.get("/account")).at("notice") == "", "the one after that does not");
}

TestClient::Headers bearer(TestClient& client, const std::string& user) {
  const auto pair = json_of(client.form("/token", {{"user", user}, {"password", "correct horse"}}));
  return {{"Authorization", "Bearer " + pair.at("access").get<std::string>()}};
}

void fill_catalogue(TestClient& client, const TestClient::Headers& token) {
  check(client.get("/products/tea").status == 404, "there is no tea");
  check(client.put("/products/tea", R"({"price":450,"stock":2})").status == 401, "the catalogue is not for everybody");
  check(client.put("/products/tea", R"({"price":450,"stock":2})", "application/json", token).status == 204,
        "tea comes");
  check(json_of(client.get("/products/tea")).at("stock") == 2, "the 404 is not kept");
  check(json_of(client.get("/products")).at("products") == nlohmann::json{"tea"}, "the list has it");
  check(!client.get("/products").header("Age").empty(), "the list is cached");
  const std::string longest(2'000, 'x');
  check(client.get("/products/" + longest).status == 404, "a long name is no product");
  check(client.put("/products/%FF", R"({"price":1,"stock":1})", "application/json", token).status == 404,
        "nor is one that is not text");
  check(client.put("/products/tea", R"({"price":450,"stock":-1})", "application/json", token).status == 400,
        "no product has less than nothing in stock");
}

void order(TestClient& client) {
  const auto place = [&](const std::string& key) {
    return client.post("/orders", R"({"product":"tea","quantity":2})", "application/json", {{"Idempotency-Key", key}});
  };
  const TestResponse placed = place("first");
  check(placed.status == 201, "an order is taken");
  check(place("first").header("Idempotency-Replayed") == "true", "the same order is not taken again");
  check(json_of(client.get("/products/tea")).at("stock") == 0, "the cache knows what is left");
  check(place("second").status == 409, "what is sold is sold");
  const std::string id = json_of(placed).at("order");
  check(eventually([&] { return client.get("/orders/" + id + "/confirmation").status == 200; }), "a job confirms it");
  check(eventually([&] { return json_of(client.get("/orders/seen")).at("orders") == 1; }), "every worker hears of it");
  check(client.get("/orders/live").status == 401, "orders are not for everybody");
}

}  // namespace

int main() {
  TestClient client(shop::setup, {.redis = "temporary"});
  sign_up(client, "ada");
  const TestClient::Headers token = bearer(client, "ada");
  fill_catalogue(client, token);
  order(client);
  const std::string form_token = json_of(client.get("/account/form-token")).at("token");
  check(client.form("/account/logout-everywhere", {{"_csrf", form_token}}).status == 204, "the user logs out");
  check(client.get("/account").status == 401, "and is out");

  TestClient alone(shop::setup);  // without Redis
  check(alone.get("/account").status == 503, "without Redis there are no accounts");
  return 0;
}
