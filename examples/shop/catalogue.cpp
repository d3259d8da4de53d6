// The catalogue: read by everybody, so it is cached; changed by programs with a token.
#include <pronghorn/json.h>

#include "shop.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace shop {
namespace {

// What is not in the cache. In another shop this asks a database.
Task<std::optional<std::string>> load_product(Redis redis, std::string id) {
  const Reply product = co_await redis.command("HMGET", product_key(id), "price", "stock");
  const auto& fields = product.array();
  if (fields.at(0).is_nil()) co_return std::nullopt;
  const nlohmann::json found{{"id", id}, {"price", fields.at(0).integer()}, {"stock", fields.at(1).integer()}};
  co_return found.dump();
}

Task<Response> show_product(Request& request) {
  const auto id = request.param<std::string>("id");
  const auto load = [redis = request.redis(), id] { return load_product(redis, id); };
  const auto product = co_await request.cache().get_or_fill(product_key(id), {.ttl = 10min, .stale = 1h}, load);
  if (!product) throw not_found("there is no such product");
  co_return Response(200, *product, "application/json");
}

Task<Response> list_products(Request& request) {
  const Reply ids = co_await request.redis().command("SMEMBERS", "shop:products");
  nlohmann::json list = nlohmann::json::array();
  for (const Reply& id : ids.array()) list.push_back(id.string());
  co_return json_response({{"products", std::move(list)}});
}

Task<Response> put_product(Request& request) {
  const auto id = request.param<std::string>("id");
  const auto body = co_await json_body(request);
  const auto price = body.at("price").get<std::int64_t>();
  const auto stock = body.at("stock").get<std::int64_t>();
  if (price < 0 || stock < 0) throw bad_request("price and stock are not negative");
  co_await request.redis().command("HSET", product_key(id), "price", price, "stock", stock);
  co_await request.redis().command("SADD", "shop:products", id);
  co_await request.cache().invalidate(product_key(id));
  co_await request.cache().invalidate_tag("catalogue");
  co_await request.events().publish("products", id);
  co_return no_content();
}

}  // namespace

void add_catalogue(App& app, const Tokens& tokens) {
  app.get("/products", list_products).cached({.ttl = 30s, .stale = 1min, .tags = {"catalogue"}});
  app.get("/products/{id}", show_product);
  app.put("/products/{id}", put_product).use(require_token(tokens, {.scopes = {"stock:write"}}));
}

}  // namespace shop
