#include "worker/state/cache/store/fill_claim.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "worker/state/cache/store/cache_scripts.h"
#include "worker/state/idempotency/holder.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr int kMaxReplacements = 3;  // of claims that ended one after the other while this one tried

std::string_view holder_of(std::string_view claim) noexcept { return claim.substr(0, claim.rfind('/')); }

}  // namespace

FillClaim::FillClaim(RedisClient& client, const EntryKeys& keys, std::string name)
    : client_(client), keys_(keys), name_(std::move(name)), lock_life_(std::to_string((kLease + kPatience).count())) {}

// EVAL with the source: one command, which Redis carries out although nobody waits for its reply.
FillClaim::~FillClaim() {
  if (!held_) return;
  const std::array<std::string_view, 5> words{"EVAL", free_lock_script().source(), "1", keys_.lock, name_};
  client_.post(words);
  tell();
}

// For those who wait: see FillWait.
void FillClaim::tell() {
  const std::array<std::string_view, 3> words{"PUBLISH", keys_.news, ""};
  client_.post(words);
}

Task<FillClaim::Answer> FillClaim::take(std::string useless) {
  const std::array<std::string_view, 2> keys{keys_.entry, keys_.lock};
  std::string ended;
  for (int replacements = 0;; ++replacements) {
    held_ = true;  // before the round trip: if the caller ends meanwhile, the lock is freed after it was taken
    const std::array<std::string_view, 4> args{name_, lock_life_, useless, ended};
    const Reply reply = co_await run_script(client_, take_lock_script(), keys, args);
    require_served(reply);
    const Reply::Array& values = reply.array();
    const std::string kind = values.empty() ? std::string() : values.front().string();
    if (kind == "taken") {
      renew_later();
      co_return Answer{Answer::Kind::taken};
    }
    held_ = false;
    if (values.size() != 3) throw RedisError("unexpected reply to a script of the cache");
    const std::int64_t left_ms = values[2].integer();
    if (kind == "entry") {
      co_return Answer{.kind = Answer::Kind::entry, .entry = values[1].string(), .left = milliseconds(left_ms)};
    }
    ended = values[1].string();
    const milliseconds left = time_to_leave(ended, left_ms);
    if (left.count() > 0 || replacements == kMaxReplacements) {
      co_return Answer{.kind = Answer::Kind::held, .left = std::max(left, milliseconds(1))};
    }
  }
}

milliseconds FillClaim::time_to_leave(std::string_view claim, std::int64_t lock_left_ms) const {
  switch (state_of_holder(holder_of(claim), holder_of(name_))) {
    case HolderState::ended:
      return milliseconds(0);
    case HolderState::alive:
      return milliseconds(lock_left_ms);
    case HolderState::elsewhere:
      break;
  }
  return milliseconds(lock_left_ms) - kPatience;
}

void FillClaim::renew_later() {
  renewal_.arm(
      [](void* claim) {
        static_cast<FillClaim*>(claim)->renew();
        static_cast<FillClaim*>(claim)->renew_later();
      },
      this);
}

void FillClaim::renew() {
  const std::array<std::string_view, 6> words{"EVAL", renew_lock_script().source(), "1", keys_.lock, name_, lock_life_};
  client_.post(words);
}

// The claim is held until the reply: if that does not come, the destructor frees the lock.
Task<bool> FillClaim::end(const Script& script, std::string entry, milliseconds life) {
  renewal_.cancel();
  const std::array<std::string_view, 2> keys{keys_.entry, keys_.lock};
  const std::string life_text = std::to_string(life.count());
  const std::array<std::string_view, 3> args{name_, entry, life_text};
  const Reply reply = co_await run_script(client_, script, keys, args);
  require_served(reply);
  held_ = false;
  tell();
  co_return reply.integer() == 1;
}

Task<bool> FillClaim::store(std::string entry, milliseconds life) {
  return end(store_entry_script(), std::move(entry), life);
}

Task<void> FillClaim::give_up() {
  renewal_.cancel();
  if (!std::exchange(held_, false)) co_return;
  const std::array<std::string_view, 1> keys{keys_.lock};
  const std::array<std::string_view, 1> args{name_};
  try {
    (void)co_await run_script(client_, free_lock_script(), keys, args);
    tell();
  } catch (const RedisUnavailable&) {  // logged by the Redis client; the lease ends by itself
  }
}

Task<void> FillClaim::begin_write() {
  held_ = true;
  const std::array<std::string_view, 2> keys{keys_.entry, keys_.lock};
  const std::array<std::string_view, 2> args{name_, lock_life_};
  const Reply reply = co_await run_script(client_, begin_write_script(), keys, args);
  require_served(reply);
  renew_later();
}

Task<bool> FillClaim::end_write(std::string entry, milliseconds life) {
  return end(end_write_script(), std::move(entry), life);
}

}  // namespace pronghorn::worker
