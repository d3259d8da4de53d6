#include "worker/state/limits/limit_question.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "pronghorn/redis.h"
#include "worker/state/limits/limit_key.h"
#include "worker/state/limits/permits/limit_script.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kArguments = 4;  // of each limit
// The workers of a machine ask again after this time, because somebody may have deleted the key.
constexpr std::int64_t kLongestRefusalMs = 1'000;

std::uint32_t bounded(std::int64_t value) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 0, UINT32_MAX));
}

std::uint64_t later(std::uint64_t from_ms, std::int64_t by_ms) {
  return from_ms + static_cast<std::uint64_t>(std::max<std::int64_t>(by_ms, 0));
}

}  // namespace

void LimitQuestion::add(std::size_t position, const Limit& limit, std::string key, std::optional<Leases::Fetch> fetch) {
  const std::string permits = fetch ? std::to_string(limit.permits_leased) : "1";
  args_.insert(args_.end(), {algorithm_name(limit.algorithm), std::to_string(limit.count),
                             std::to_string(window_of(limit).count()), limit.never_refuses ? "-" + permits : permits});
  if (limit.algorithm == LimitAlgorithm::concurrency) places_.add(key);
  takes_more_ = takes_more_ || fetch;
  positions_.push_back(position);
  keys_.push_back(std::move(key));
  fetches_.push_back(std::move(fetch));
  refuses_.push_back(!limit.never_refuses);
}

Task<std::vector<LimitVerdict>> LimitQuestion::ask(std::shared_ptr<LimitQuestion> question) {
  const std::vector<std::string_view> keys(question->keys_.begin(), question->keys_.end());
  const std::vector<std::string_view> args(question->args_.begin(), question->args_.end());
  const std::uint64_t sent_ms = monotonic_ms();
  const Reply reply = co_await run_script(question->client_, limit_script(), keys, args);
  require_success(reply);
  co_return question->read(reply, sent_ms);
}

// Times begin when the script was sent, so permits end here before they do in Redis.
std::vector<LimitVerdict> LimitQuestion::read(const Reply& reply, std::uint64_t sent_ms) {
  const Reply::Array& values = reply.array();
  const auto fetches =
      static_cast<std::size_t>(std::ranges::count_if(fetches_, [](const auto& fetch) { return fetch.has_value(); }));
  if (values.size() != 3 * keys_.size() + 2 * fetches) throw RedisError("unexpected reply to the rate limit script");
  std::vector<LimitVerdict> verdicts(keys_.size());
  bool refused = false;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    verdicts[i].allowed = values[3 * i].integer() != 0;
    verdicts[i].remaining = bounded(values[3 * i + 1].integer());
    verdicts[i].reset_ms = values[3 * i + 2].integer();
    refused = refused || (!verdicts[i].allowed && refuses_[i]);
  }
  counted_ = !refused;
  std::size_t lease = 3 * keys_.size();
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (!fetches_[i]) continue;
    LimitVerdict& verdict = verdicts[i];
    const std::uint32_t permits = bounded(values[lease].integer());
    const std::uint64_t reset_at = later(sent_ms, verdict.reset_ms);
    if (permits > 0) {
      fetches_[i]->deposit(permits - 1, later(sent_ms, values[lease + 1].integer()), verdict.remaining, reset_at);
      verdict.remaining += permits - 1;
      verdict.drawn = fetches_[i]->row();
    } else if (!verdict.allowed) {
      fetches_[i]->refuse(std::min(reset_at, later(sent_ms, kLongestRefusalMs)), reset_at);
    }
    fetches_[i].reset();
    lease += 2;
  }
  return verdicts;
}

// Concurrency limits free their places, and permits of leases stay on the machine.
void LimitQuestion::take_back() {
  std::vector<std::string_view> keys;
  std::vector<std::string_view> args;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const std::size_t first = 1 + kArguments * i;
    const std::string& permits = args_[first + kArguments - 1];
    if (args_[first] == "concurrent" || (permits != "1" && permits != "-1")) continue;
    keys.emplace_back(keys_[i]);
    args.insert(args.end(), {args_[first], args_[first + 1], args_[first + 2]});
  }
  if (keys.empty()) return;
  const std::string key_count = std::to_string(keys.size());
  std::vector<std::string_view> words{"EVAL", take_back_script().source(), key_count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  client_.post(words);
}

}  // namespace pronghorn::worker
