#include "shop.h"

using namespace pronghorn;
using namespace std::chrono_literals;

namespace shop {
namespace {

// One key for all workers and machines, made by the worker that needs it first. A company's shop reads a file that its
// secret store provides: .keys = key_set("/run/secrets/keys.json").
Task<KeySet> shared_key(Worker& worker) {
  Redis redis = worker.redis();
  Reply key = co_await redis.command("GET", "shop:token-key");
  if (key.is_nil()) {
    co_await redis.command("SET", "shop:token-key", new_key(KeyAlgorithm::ES256), "NX");
    key = co_await redis.command("GET", "shop:token-key");
  }
  co_return key_set_from(key.string());
}

}  // namespace

void setup(App& app) {
  const Tokens tokens({.load_keys = shared_key, .issuer = "shop", .access = 10min});
  app.use(security_headers());
  app.use(compression());
  add_accounts(app, tokens);
  add_catalogue(app, tokens);
  add_orders(app, tokens);
}

}  // namespace shop
