#include "worker/state/limits/limit_question.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "pronghorn/redis.h"
#include "worker/state/limits/limit_key.h"
#include "worker/state/limits/permits/limit_script.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/protocol/words.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

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
  if (limit.algorithm == LimitAlgorithm::concurrency) places_.add(key);
  takes_more_ = takes_more_ || fetch;
  std::string permits = fetch ? std::to_string(limit.permits_leased) : "1";
  if (limit.never_refuses) permits.insert(permits.begin(), '-');
  asked_.push_back({.position = position,
                    .algorithm = algorithm_name(limit.algorithm),
                    .key = std::move(key),
                    .count = std::to_string(limit.count),
                    .window = std::to_string(window_of(limit).count()),
                    .permits = std::move(permits),
                    .refuses = !limit.never_refuses,
                    .fetch = std::move(fetch),
                    .verdict = {}});
}

Task<void> LimitQuestion::ask(std::shared_ptr<LimitQuestion> question) {
  Words keys;
  Words args{question->request_};
  for (const Asked& each : question->asked_) {
    keys.add(each.key);
    for (const std::string_view arg : {std::string_view(each.algorithm), std::string_view(each.count),
                                       std::string_view(each.window), std::string_view(each.permits)}) {
      args.add(arg);
    }
  }
  const std::uint64_t sent_ms = monotonic_ms();
  const Reply reply = co_await run_script(question->client_, limit_script(), keys.all(), args.all());
  require_success(reply);
  question->read(reply, sent_ms);
}

// Times begin when the script was sent, so permits end here before they do in Redis.
void LimitQuestion::read(const Reply& reply, std::uint64_t sent_ms) {
  const Reply::Array& values = reply.array();
  const auto fetches =
      static_cast<std::size_t>(std::ranges::count_if(asked_, [](const Asked& each) { return each.fetch.has_value(); }));
  if (values.size() != 3 * asked_.size() + 2 * fetches) throw RedisError("unexpected reply to the rate limit script");
  bool refused = false;
  std::size_t at = 0;
  for (Asked& each : asked_) {
    each.verdict.allowed = values[at].integer() != 0;
    each.verdict.remaining = bounded(values[at + 1].integer());
    each.verdict.reset_ms = values[at + 2].integer();
    refused = refused || (!each.verdict.allowed && each.refuses);
    at += 3;
  }
  counted_ = !refused;
  for (Asked& each : asked_) {
    if (!each.fetch) continue;
    LimitVerdict& verdict = each.verdict;
    const std::uint32_t permits = bounded(values[at].integer());
    const std::uint64_t reset_at = later(sent_ms, verdict.reset_ms);
    if (permits > 0) {
      each.fetch->deposit(permits - 1, later(sent_ms, values[at + 1].integer()), verdict.remaining, reset_at);
      verdict.remaining += permits - 1;
      verdict.drawn = each.fetch->row();
    } else if (!verdict.allowed) {
      each.fetch->refuse(std::min(reset_at, later(sent_ms, kLongestRefusalMs)), reset_at);
    }
    each.fetch.reset();
    at += 2;
  }
}

// Concurrency limits free their places, and permits of leases stay on the machine.
void LimitQuestion::take_back() {
  Words keys;
  Words args;
  std::size_t count = 0;
  for (const Asked& each : asked_) {
    const std::string_view algorithm = each.algorithm;
    if (algorithm == "concurrent" || (each.permits != "1" && each.permits != "-1")) continue;
    keys.add(each.key);
    for (const std::string_view arg : {algorithm, std::string_view(each.count), std::string_view(each.window)}) {
      args.add(arg);
    }
    ++count;
  }
  if (count == 0) return;
  const std::string key_count = std::to_string(count);
  Words words{"EVAL", take_back_script().source(), key_count};
  words.add(keys.all());
  words.add(args.all());
  client_.post(words.all());
}

}  // namespace pronghorn::worker
