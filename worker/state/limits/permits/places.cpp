#include "worker/state/limits/permits/places.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>

#include "common/ipc/scoreboard.h"
#include "pronghorn/timer.h"
#include "worker/crypto/random_hex.h"
#include "worker/state/idempotency/holder.h"
#include "worker/state/limits/permits/limit_script.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

constexpr std::chrono::milliseconds kPoll{5};
constexpr int kMostPolls = 20;

// Ends a look, also if its request ends first.
class Running {
 public:
  explicit Running(bool& flag) noexcept : flag_(flag) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { flag_ = false; }

 private:
  bool& flag_;
};

// "HOLDER.INSTANCE" without the instance.
std::string_view process_of(std::string_view holder) noexcept { return holder.substr(0, holder.rfind('.')); }

}  // namespace

Places::~Places() {
  for (const std::string& key : keys_) client_->post(std::array<std::string_view, 3>{"ZREM", key, request_});
}

PlaceHolders::PlaceHolders(RedisClient* client)
    : client_(client), holder_(name_this_process()), instance_(random_hex().substr(0, 8)) {}

std::shared_ptr<PlaceHolders::Look> PlaceHolders::look_at(const std::string& key) {
  if (looks_.size() >= kMostKeys) looks_.clear();
  std::shared_ptr<Look>& look = looks_[key];
  if (look == nullptr) look = std::make_shared<Look>();
  return look;
}

Task<bool> PlaceHolders::free_dead(std::string key) {
  const std::shared_ptr<Look> look = look_at(key);
  // Two requests of a dead worker come back at the same time: both must find the places that it has left.
  for (int polls = 0; look->running && polls < kMostPolls; ++polls) co_await sleep_for(kPoll);
  if (look->running) co_return false;
  if (look->began_ms != 0 && monotonic_ms() < look->began_ms + kIntervalMs) co_return look->freed;
  look->began_ms = monotonic_ms();
  look->freed = false;
  look->running = true;
  const Running running(look->running);
  look->freed = co_await remove_ended(std::move(key));
  co_return look->freed;
}

Task<bool> PlaceHolders::remove_ended(std::string key) {
  const std::array<std::string_view, 1> keys{key};
  try {
    const Reply found = co_await run_script(*client_, holders_script(), keys, {});
    if (!found.is_array()) co_return false;
    std::vector<std::string> ended;
    for (const Reply& holder : found.array()) {
      if (state_of_holder(process_of(holder.string()), holder_) == HolderState::ended) {
        ended.push_back(holder.string());
      }
    }
    if (ended.empty()) co_return false;
    const std::vector<std::string_view> args(ended.begin(), ended.end());
    const Reply removed = co_await run_script(*client_, holders_script(), keys, args);
    co_return removed.is_integer() && removed.integer() > 0;
  } catch (const RedisError&) {  // an outage is logged by the Redis client; whoever was refused stays refused
  }
  co_return false;
}

}  // namespace pronghorn::worker
