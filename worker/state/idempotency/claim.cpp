#include "worker/state/idempotency/claim.h"

#include <array>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include "worker/state/idempotency/claim_scripts.h"
#include "worker/state/idempotency/holder.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

constexpr int kMaxReplacements = 3;  // of claims that ended one after the other while this request tried

std::string_view holder_of(std::string_view claim) noexcept { return claim.substr(0, claim.rfind('/')); }

// EVAL with the source in place of the SHA-1: one command, which Redis carries out even if the coroutine that sent it
// is destroyed before the reply.
template <class Send>
void send_whole_script(const Script& script, std::string_view key, std::initializer_list<std::string_view> args,
                       Send send) {
  std::vector<std::string_view> words{"EVAL", script.source(), "1", key};
  words.insert(words.end(), args);
  send(std::span<const std::string_view>(words));
}

}  // namespace

Claim::Claim(RedisClient& client, Terms terms)
    : client_(client),
      terms_(std::move(terms)),
      lease_text_(std::to_string(kLease.count())),
      ttl_text_(std::to_string((terms_.keep + kLease + terms_.patience).count())) {}

Claim::~Claim() {
  if (!held_) return;
  send_whole_script(give_up_script(), terms_.key, {terms_.name}, [this](auto words) { client_.post(words); });
}

Task<Claim::Answer> Claim::take(std::string fingerprint) {
  const std::array<std::string_view, 1> keys{terms_.key};
  std::string ended;
  for (int replacements = 0;; ++replacements) {
    held_ = true;  // before the round trip: if the request ends meanwhile, the key is freed after it was taken
    const std::array<std::string_view, 5> args{fingerprint, terms_.name, lease_text_, ttl_text_, ended};
    const Reply reply = co_await run_script(client_, take_script(), keys, args);
    require_served(reply);
    const Reply::Array& values = reply.array();
    const std::string kind = values.empty() ? std::string() : values.front().string();
    if (kind == "taken") {
      renew_later();
      co_return Answer::taken;
    }
    held_ = false;
    if (kind == "other") co_return Answer::other;
    if (kind == "finished") {
      read(values);
      co_return Answer::finished;
    }
    if (kind != "running" || values.size() != 3) throw RedisError("unexpected reply to the script of a claim");
    ended = values[1].string();
    if (replacements == kMaxReplacements || !may_replace(ended, values[2].integer())) co_return Answer::running;
  }
}

bool Claim::may_replace(std::string_view claim, std::int64_t left_ms) const {
  switch (state_of_holder(holder_of(claim), holder_of(terms_.name))) {
    case HolderState::ended:
      return true;
    case HolderState::alive:
      return left_ms <= -terms_.patience.count();
    case HolderState::elsewhere:
      break;
  }
  return left_ms <= 0;
}

void Claim::read(const Reply::Array& finished) {
  if (finished.size() != 5) throw RedisError("unexpected reply to the script of a claim");
  kept_.status = static_cast<int>(finished[1].integer());
  kept_.content_type = finished[2].string();
  kept_.fields = finished[3].string();
  kept_.body = finished[4].string();
}

void Claim::renew_later() {
  renewal_.arm(
      [](void* claim) {
        static_cast<Claim*>(claim)->renew();
        static_cast<Claim*>(claim)->renew_later();
      },
      this);
}

void Claim::renew() {
  send_whole_script(renew_script(), terms_.key, {terms_.name, lease_text_, ttl_text_},
                    [this](auto words) { client_.post(words); });
}

// From here on the key is never freed: the request was carried out. If Redis does not get the response, the key is
// claimed until nobody waits for its holder any more.
Task<bool> Claim::finish(KeptResponse response) {
  renewal_.cancel();
  held_ = false;
  const std::string keep = std::to_string(terms_.keep.count());
  const std::string status = std::to_string(response.status);
  RedisCall call(client_);
  send_whole_script(finish_script(), terms_.key,
                    {terms_.name, keep, status, response.content_type, response.fields, response.body},
                    [&call](auto words) { call.send(words); });
  co_await call;
  name_key(call.reply(), terms_.key);
  require_served(call.reply());
  co_return call.reply().integer() == 1;
}

Task<void> Claim::give_up() {
  renewal_.cancel();
  held_ = false;
  RedisCall call(client_);
  send_whole_script(give_up_script(), terms_.key, {terms_.name}, [&call](auto words) { call.send(words); });
  try {
    co_await call;
  } catch (const RedisUnavailable&) {  // logged by the Redis client
  }
}

}  // namespace pronghorn::worker
