#include "worker/control/quarantine_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/redis.h"
#include "pronghorn/timer.h"
#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPeriod = 1s;
constexpr std::uint64_t kSameEndMs = 2'000;  // the two clocks are not read at the same moment
constexpr std::size_t kMaxReleases = 128;    // waiting for Redis

std::uint64_t distance(std::uint64_t a, std::uint64_t b) noexcept { return a > b ? a - b : b - a; }

template <class List>
auto find_id(List& list, const std::string& id, auto id_of) {
  return std::ranges::find(list, id, id_of);
}

const std::string& id_of_entry(const QuarantineEntry& entry) { return entry.request.id; }
const std::string& id_of_stored(const QuarantineStore::Stored& stored) { return stored.notice.request.id; }

}  // namespace

QuarantineKeeper::QuarantineKeeper(ServedApp& application, QuarantineTable& table, WorkerRow& row, RedisClient* redis,
                                   const Config& config, Send send)
    : application_(application),
      table_(table),
      gate_(table, row),
      redis_(redis),
      time_(config.quarantine_time),
      send_(std::move(send)) {
  if (time_.count() <= 0) return;
  application_.use_quarantine(gate_);
  if (redis_ != nullptr) store_.emplace(*redis_, config.name);
}

void QuarantineKeeper::start() {
  if (!store_) return;
  keeping_ = keep();
  keeping_.start();
}

Task<void> QuarantineKeeper::keep() {
  for (;;) {
    co_await sleep_for(kPeriod);
    co_await sync();
  }
}

void QuarantineKeeper::received(const ChannelMessage& message) {
  if (time_.count() <= 0) return;
  if (message.kind == MessageKind::release_quarantine) {
    if (!store_ || releases_.size() >= kMaxReleases) return;
    releases_.push_back(message.text);
    return spawn(sync());
  }
  const std::size_t blank = std::min(message.text.find(' '), message.text.size());
  const std::string_view method = std::string_view(message.text).substr(0, blank);
  const std::string_view path = std::string_view(message.text).substr(std::min(blank + 1, message.text.size()));
  const auto route = application_.route_of(method, path);
  QuarantinedRequest request = identify(method, route, path);
  std::string text = to_text(request);
  if (!route.empty()) text += '\n' + to_text(identify_route(method, route));
  // This machine's own count first: it does not wait for Redis.
  send_({MessageKind::kill_identified, static_cast<std::uint64_t>(time_.count()), std::move(text)});
  if (store_) spawn(count(std::move(request)));
}

Task<void> QuarantineKeeper::count(QuarantinedRequest request) {
  std::uint64_t kills = 0;
  try {
    kills = co_await store_->count_kill(std::move(request), time_);
  } catch (const RedisUnavailable&) {  // logged by the client
  } catch (const RedisError& error) {
    tell_error(error.what());
  }
  if (kills >= QuarantineStore::kKills) co_await sync();
}

Task<void> QuarantineKeeper::sync() {
  if (!store_ || !redis_up()) co_return;
  try {
    co_await release_waiting();
    co_await compare();
    told_error_ = false;
  } catch (const RedisUnavailable&) {  // logged by the client
  } catch (const RedisError& error) {
    tell_error(error.what());
  }
}

Task<void> QuarantineKeeper::release_waiting() {
  while (!releases_.empty()) {
    const std::string id = releases_.front();
    co_await store_->release(id);
    std::erase(releases_, id);  // another coroutine may have done it meanwhile
  }
}

// Reads the table before Redis: an entry of the table that Redis does not have was then removed there, and is not just
// newer than the answer.
Task<void> QuarantineKeeper::compare() {
  const std::vector<QuarantineEntry> before = quarantine_entries(table_, monotonic_ms());
  const std::vector<QuarantineStore::Stored> stored = co_await store_->list();
  tell_supervisor(before, stored);
  for (const QuarantineEntry& entry : before) {
    if (entry.shared || find_id(stored, entry.request.id, id_of_stored) != stored.end()) continue;
    QuarantineStore::Stored fresh;
    fresh.notice = {entry.request, entry.since_at, entry.kills};
    fresh.left = std::chrono::milliseconds(static_cast<std::int64_t>(entry.left_ms));
    co_await store_->put(std::move(fresh));
  }
}

void QuarantineKeeper::tell_supervisor(const std::vector<QuarantineEntry>& before,
                                       const std::vector<QuarantineStore::Stored>& stored) {
  for (const QuarantineStore::Stored& each : stored) {
    const auto known = find_id(before, each.notice.request.id, id_of_entry);
    const auto left = static_cast<std::uint64_t>(each.left.count());
    if (known != before.end() && known->shared && known->kills == each.notice.kills &&
        distance(known->left_ms, left) <= kSameEndMs) {
      continue;
    }
    send_({MessageKind::quarantined, left, to_text(each.notice)});
  }
  for (const QuarantineEntry& entry : before) {
    if (!entry.shared || find_id(stored, entry.request.id, id_of_stored) != stored.end()) continue;
    send_({MessageKind::quarantine_ended, 0, entry.request.id});
  }
}

bool QuarantineKeeper::redis_up() const noexcept { return redis_ != nullptr && redis_->up(); }

void QuarantineKeeper::tell_error(std::string_view error) {
  if (std::exchange(told_error_, true)) return;
  log_error("Redis refuses to store the quarantine: it applies to this machine only", {{"error", error}});
}

}  // namespace pronghorn::worker
