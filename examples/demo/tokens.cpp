// Access tokens that any worker verifies by itself, and refresh tokens that are good for one use.
#include <pronghorn/json.h>
#include <pronghorn/token.h>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

// One key for all workers and machines: made at random by the worker that needs it first, and kept in Redis. An
// application of yours reads a file that a secret store provides: .keys = key_set("/run/secrets/keys.json").
Task<KeySet> shared_key(Worker& worker) {
  Redis redis = worker.redis();
  Reply key = co_await redis.command("GET", "demo:token-key");
  if (key.is_nil()) {
    co_await redis.command("SET", "demo:token-key", new_key(KeyAlgorithm::ES256), "NX");
    key = co_await redis.command("GET", "demo:token-key");
  }
  co_return key_set_from(key.string());
}

Response as_json(const TokenPair& pair) {
  return json_response({{"access", pair.access}, {"refresh", pair.refresh}, {"expires_in", pair.expires_in.count()}})
      .set("Cache-Control", "no-store");
}

Response show_user(Request& request) { return json_response({{"user", request.token().subject()}}); }

}  // namespace

void add_token_routes(App& app) {
  const Tokens tokens({.load_keys = shared_key, .issuer = "demo", .access = 10min});

  // The demo believes everybody. An application checks a password first: see pronghorn/secrets.h.
  app.post("/token",
           [tokens](Request& request) -> Task<Response> {
             std::string user = co_await submitted_user(request);
             if (user.empty()) throw bad_request("user is missing");
             const TokenPair pair = co_await tokens.issue(request, std::move(user));
             co_return as_json(pair);
           })
      .max_body(4_KiB);

  app.post("/token/refresh",
           [tokens](Request& request) -> Task<Response> {
             const auto body = co_await json_body(request);
             std::string refresh = body.at("refresh").get<std::string>();
             const TokenPair pair = co_await tokens.refresh(request, std::move(refresh));
             co_return as_json(pair);
           })
      .max_body(4_KiB);

  app.post("/token/revoke",
           [tokens](Request& request) -> Task<Response> {
             co_await tokens.revoke(request.token());
             co_return no_content();
           })
      .use(require_token(tokens));

  app.get("/private", show_user).use(require_token(tokens));
}

}  // namespace demo
