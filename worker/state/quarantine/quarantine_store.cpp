#include "worker/state/quarantine/quarantine_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "common/log.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kMaxListed =
    4 * static_cast<std::int64_t>(kMaxQuarantined);  // more entries than we would ever write

// Both scripts: KEYS[1] holds the entries; ARGV[1] the id, ARGV[2] METHOD ROUTE SHAPE, ARGV[3] the life of the entry in
// ms, ARGV[4] the maximum number of entries. Adding an entry deletes expired and malformed ones.
constexpr std::string_view kAddEntry = R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function add(since, kills)
  local saved = redis.call('HGETALL', KEYS[1])
  local count = #saved / 2
  for i = 1, #saved, 2 do
    local ends = tonumber(string.match(saved[i + 1], '^(%d+) '))
    if not ends or ends <= now then
      redis.call('HDEL', KEYS[1], saved[i])
      count = count - 1
    end
  end
  if count >= tonumber(ARGV[4]) then return end
  local value = string.format('%.0f %.0f %.0f %s', now + ARGV[3], since, kills, ARGV[2])
  redis.call('HSET', KEYS[1], ARGV[1], value)
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
end
-- ends, since, kills and the rest of an entry that has not expired
local function find()
  local value = redis.call('HGET', KEYS[1], ARGV[1])
  if not value then return nil end
  local ends, since, kills, rest = string.match(value, '^(%d+) (%d+) (%d+) (.*)$')
  if not ends or tonumber(ends) <= now then return nil end
  return ends, since, tonumber(kills), rest
end
)lua";

// KEYS[2] counts the kills; ARGV[5] the window in ms, ARGV[6] the number of kills that quarantines. Returns the kills.
const Script& count_script() {
  static const Script script(std::string(kAddEntry) + R"lua(
local ends, since, kills, rest = find()
if ends then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%s %s %.0f %s', ends, since, kills + 1, rest))
  return kills + 1
end
kills = redis.call('INCR', KEYS[2])
if kills == 1 then redis.call('PEXPIRE', KEYS[2], ARGV[5]) end
if kills >= tonumber(ARGV[6]) then
  redis.call('DEL', KEYS[2])
  add(time[1], kills)
end
return kills
)lua");
  return script;
}

// ARGV[5] since when, ARGV[6] the kills.
const Script& put_script() {
  static const Script script(std::string(kAddEntry) + R"lua(
if not find() then add(ARGV[5], ARGV[6]) end
return 0
)lua");
  return script;
}

std::string without_id(const QuarantinedRequest& request) {
  return fmt::format("{} {} {}", request.method, request.route, request.shape);
}

struct Listed {
  std::int64_t until_ms = 0;
  QuarantineNotice notice;
};

std::optional<Listed> parse_entry(const std::string& id, std::string_view value) {
  Listed entry;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), entry.until_ms);
  if (error != std::errc() || end == value.data() + value.size() || *end != ' ' || entry.until_ms < 0) return {};
  value.remove_prefix(static_cast<std::size_t>(end - value.data()) + 1);
  // In the text of a notice the id follows the two numbers.
  const std::size_t since_end = value.find(' ');
  const std::size_t kills_end = since_end == std::string_view::npos ? since_end : value.find(' ', since_end + 1);
  if (kills_end == std::string_view::npos) return {};
  auto notice =
      parse_quarantine_notice(fmt::format("{} {} {}", value.substr(0, kills_end), id, value.substr(kills_end + 1)));
  if (!notice) return {};
  entry.notice = std::move(*notice);
  return entry;
}

// Milliseconds since 1970 from the reply to TIME: seconds and microseconds.
std::int64_t server_time(const Reply& reply) {
  const Reply::Array& parts = reply.array();
  if (parts.size() != 2) throw RedisError("unexpected reply to TIME");
  return parts[0].integer() * 1000 + parts[1].integer() / 1000;
}

}  // namespace

QuarantineStore::QuarantineStore(RedisClient& client, std::string_view name)
    : client_(client), entries_key_("{" + key_prefix(name) + ":q}") {}

Task<std::uint64_t> QuarantineStore::count_kill(QuarantinedRequest request, milliseconds time) {
  const std::string kills_key = entries_key_ + ":" + request.id;
  const std::string text = without_id(request);
  const std::string time_text = std::to_string(time.count());
  const std::string most = std::to_string(kMaxQuarantined);
  const std::string window = std::to_string(kWindow.count());
  const std::string needed = std::to_string(kKills);
  const std::array<std::string_view, 2> keys{entries_key_, kills_key};
  const std::array<std::string_view, 6> args{request.id, text, time_text, most, window, needed};
  const Reply reply = co_await run_script(client_, count_script(), keys, args);
  require_success(reply);
  co_return static_cast<std::uint64_t>(std::max<std::int64_t>(reply.integer(), 0));
}

Task<void> QuarantineStore::put(Stored stored) {
  const std::string text = without_id(stored.notice.request);
  const std::string left = std::to_string(stored.left.count());
  const std::string most = std::to_string(kMaxQuarantined);
  const std::string since = std::to_string(stored.notice.since_at);
  const std::string kills = std::to_string(stored.notice.kills);
  const std::array<std::string_view, 1> keys{entries_key_};
  const std::array<std::string_view, 6> args{stored.notice.request.id, text, left, most, since, kills};
  require_success(co_await run_script(client_, put_script(), keys, args));
}

Task<std::vector<QuarantineStore::Stored>> QuarantineStore::list() {
  std::vector<Stored> listed;
  RedisCall size(client_);
  size.send({"HLEN", entries_key_});
  co_await size;
  name_key(size.reply(), entries_key_);
  require_success(size.reply());
  const std::int64_t length = size.reply().integer();
  if (length > kMaxListed) tell_malformed(fmt::format("{} entries", length));
  if (length == 0 || length > kMaxListed) co_return listed;

  RedisCall call(client_);
  call.send({"TIME"});
  call.send({"HGETALL", entries_key_});
  co_await call;
  require_success(call.reply(0));
  require_success(call.reply(1));
  const std::int64_t now = server_time(call.reply(0));
  const Reply::Array& fields = call.reply(1).array();
  for (std::size_t i = 0; i + 1 < fields.size() && listed.size() < kMaxQuarantined; i += 2) {
    auto entry = parse_entry(fields[i].string(), fields[i + 1].string());
    if (!entry) {
      tell_malformed(fields[i].string());
    } else if (entry->until_ms > now) {
      listed.push_back({std::move(entry->notice), milliseconds(entry->until_ms - now)});
    }
  }
  co_return listed;
}

Task<void> QuarantineStore::release(std::string id) {
  RedisCall call(client_);
  if (id == "all") {
    call.send({"DEL", entries_key_});
  } else {
    call.send({"HDEL", entries_key_, id});
  }
  co_await call;
  name_key(call.reply(), entries_key_);
  require_success(call.reply());
}

void QuarantineStore::tell_malformed(std::string_view what) {
  if (std::exchange(told_malformed_, true)) return;
  log_warning("ignoring a malformed quarantine entry in Redis", {{"key", entries_key_}, {"entry", what.substr(0, 64)}});
}

}  // namespace pronghorn::worker
