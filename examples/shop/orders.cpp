// Orders: taken once however often a client sends them, confirmed by a job, watched live.
#include <pronghorn/json.h>

#include "shop.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace shop {
namespace {

// Books an order once: a request that runs again, because its worker has died, finds what it has booked before.
const Script book(R"(
  if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 1 end
  local stock = tonumber(redis.call('HGET', KEYS[1], 'stock') or -1)
  if stock < 0 then return -1 end
  if stock < tonumber(ARGV[2]) then return 0 end
  redis.call('HINCRBY', KEYS[1], 'stock', -ARGV[2])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
  return 1)");

Task<Response> place_order(Request& request) {
  const std::string user = co_await require_user(request);
  const auto body = co_await json_body(request);
  const auto product = body.at("product").get<std::string>();
  const auto quantity = body.at("quantity").get<unsigned>();
  if (quantity == 0 || quantity > 100) throw bad_request("quantity is 1 to 100");
  const std::string order = to_base64url(hmac_sha256(user, request.header("Idempotency-Key").value_or("")));
  const std::string entry = nlohmann::json{{"order", order}, {"user", user}, {"quantity", quantity}}.dump();

  std::vector<std::string> keys{product_key(product), product_key(product) + ":orders"};
  std::vector<std::string> arguments{order, std::to_string(quantity), entry};
  const Reply booked = co_await request.redis().script(book, std::move(keys), std::move(arguments));
  if (booked.integer() < 0) throw not_found("there is no such product");
  if (booked.integer() == 0) throw conflict("sold out");

  co_await request.cache().invalidate(product_key(product));
  co_await request.jobs().enqueue("confirm", entry, {.unique = order});
  co_await request.events().publish("orders", entry, {.history = 1000});
  co_return json_response({{"order", order}}, 201);
}

// Runs at least once, so it writes under the order's name: a second run changes nothing.
Task<void> confirm(Job& job, Worker& worker) {
  const auto entry = nlohmann::json::parse(job.payload());
  const std::string mail = "To " + entry.at("user").get<std::string>() + ": we have your order";
  co_await worker.redis().command("HSET", "shop:outbox", entry.at("order").get<std::string>(), mail);
}

Task<Response> show_confirmation(Request& request) {
  const Reply mail = co_await request.redis().command("HGET", "shop:outbox", request.param<std::string>("order"));
  if (mail.is_nil()) throw not_found("there is no confirmation yet");
  co_return text(mail.string());
}

Task<void> empty_outbox(Job&, Worker& worker) { co_await worker.redis().command("DEL", "shop:outbox"); }

// What this worker has seen of all workers' orders: events reach everybody.
struct Seen {
  std::uint64_t orders = 0;
};

Response count_seen(Request& request) { return json_response({{"orders", request.state<Seen>().orders}}); }

}  // namespace

void add_orders(App& app, const Tokens& tokens) {
  app.state<Seen>();
  app.on_event("orders", [](const Event&, Worker& worker) { ++worker.state<Seen>().orders; });
  app.job("confirm", confirm, {.attempts = 8, .backoff = 1s});
  app.job("empty-outbox", empty_outbox);
  app.every("0 3 * * *", "empty-outbox");

  app.post("/orders", place_order).idempotent({.required = true}).limit(per_user(20, 1min).gcra());
  app.get("/orders/live", [](Request& request) { return topic_stream(request, "orders"); })
      .use(require_token(tokens, {.scopes = {"orders:read"}}));
  app.get("/orders/seen", count_seen);
  app.get("/orders/{order}/confirmation", show_confirmation);
}

}  // namespace shop
