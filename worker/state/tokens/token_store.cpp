#include "worker/state/tokens/token_store.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/log.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"
#include "worker/state/tokens/token_scripts.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;

// A token of another issuer may be valid for thousands of years.
std::string ttl_of_mark(TokenStore::Time left) {
  return std::to_string(std::clamp<TokenStore::Time>(left, 1h, 10 * 366 * 24h).count());
}

}  // namespace

TokenStore::TokenStore(RedisClient* client, const Config& config, WorkerRow& row)
    : client_(client), counters_(row.counters), prefix_(key_prefix(config.name) + ":t:{") {}

RedisClient& TokenStore::require_client() {
  if (client_ != nullptr) return *client_;
  constexpr const char* kWhy = "tokens need Redis to be revoked or refreshed, but the server runs with --redis none";
  if (!std::exchange(told_missing_, true)) log_warning(kWhy);
  throw RedisUnavailable(kWhy);
}

std::string TokenStore::key_of_family(std::string_view family) const { return prefix_ + bounded_key(family) + "}"; }

std::string TokenStore::mark_of_family(std::string_view family) const { return key_of_family(family) + ":x"; }

std::string TokenStore::mark_of_token(const VerifiedToken& token) const {
  return mark_of_family(token.family.empty() ? token.id : token.family) + ":" + bounded_key(token.id);
}

Task<bool> TokenStore::revoked(const VerifiedToken& token) {
  const std::string mark = mark_of_token(token);
  RedisCall call(require_client());
  if (token.family.empty()) {
    call.send({"EXISTS", mark});
  } else {
    const std::string family_mark = mark_of_family(token.family);
    call.send({"EXISTS", mark, family_mark});
  }
  co_await call;
  require_served(call.reply());
  co_return call.reply().integer() != 0;
}

Task<void> TokenStore::revoke(const VerifiedToken& token, Time left) {
  const std::string mark = mark_of_token(token);
  const std::string ttl = ttl_of_mark(left);
  RedisCall call(require_client());
  call.send({"SET", mark, "1", "PX", ttl});
  co_await call;
  require_served(call.reply());
}

Task<void> TokenStore::begin_family(const std::string& family, const std::string& digest, const Family& content,
                                    Time ttl, Time until_end) {
  RedisClient& client = require_client();
  const std::string key = key_of_family(family);
  const std::string ttl_text = std::to_string(ttl.count());
  const std::string end_text = std::to_string(until_end.count());
  const std::array<std::string_view, 1> keys{key};
  const std::array<std::string_view, 6> args{digest,         content.subject, content.scope,
                                             content.claims, ttl_text,        end_text};
  const Reply reply = co_await run_script(client, begin_family_script(), keys, args);
  require_served(reply);
}

Task<TokenStore::Standing> TokenStore::standing(const std::string& family, const std::string& digest) {
  const std::string key = key_of_family(family);
  RedisCall call(require_client());
  call.send({"HGET", key, "current"});
  co_await call;
  name_key(call.reply(), key);
  require_served(call.reply());
  if (call.reply().is_nil()) co_return Standing::unknown;
  co_return call.reply().string() == digest ? Standing::current : Standing::used;
}

Task<TokenStore::Rotation> TokenStore::rotate(const std::string& family, const std::string& presented,
                                              const std::string& next, Time ttl, Time left) {
  RedisClient& client = require_client();
  const std::string key = key_of_family(family);
  const std::string mark = mark_of_family(family);
  const std::string ttl_text = std::to_string(ttl.count());
  const std::string mark_ttl = ttl_of_mark(left);
  const std::array<std::string_view, 2> keys{key, mark};
  const std::array<std::string_view, 4> args{presented, next, ttl_text, mark_ttl};
  const Reply reply = co_await run_script(client, rotate_script(), keys, args);
  require_served(reply);
  const Reply::Array& values = reply.array();
  const std::string outcome = values.empty() ? std::string() : values[0].string();
  Rotation rotation{.outcome = Rotation::Outcome::unknown, .content = {}};
  if (outcome == "rotated" && values.size() == 4) {
    rotation.outcome = Rotation::Outcome::rotated;
    rotation.content = {values[1].string(), values[2].string(), values[3].string()};
  } else if (outcome == "reused") {
    rotation.outcome = Rotation::Outcome::reused;
    if (values.size() == 2 && values[1].is_string()) rotation.content.subject = values[1].string();
  } else if (outcome != "unknown") {
    throw RedisError("unexpected reply to the script of refresh tokens");
  }
  co_return rotation;
}

Task<void> TokenStore::end_family(const std::string& family, Time left) {
  RedisClient& client = require_client();
  const std::string key = key_of_family(family);
  const std::string mark = mark_of_family(family);
  const std::string mark_ttl = ttl_of_mark(left);
  const std::array<std::string_view, 2> keys{key, mark};
  const std::array<std::string_view, 1> args{mark_ttl};
  const Reply reply = co_await run_script(client, end_family_script(), keys, args);
  require_served(reply);
}

}  // namespace pronghorn::worker
