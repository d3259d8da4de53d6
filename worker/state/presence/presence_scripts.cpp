#include "worker/state/presence/presence_scripts.h"

#include <array>
#include <span>

#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn::worker {
namespace {

// How long the keys outlive the last lease, so that its end is still found and told.
constexpr std::chrono::milliseconds kKeysOutlive = std::chrono::hours(1);

// What all scripts begin with. KEYS: leases, data. ARGV[1]: channel. end_leases() tells of at most 500.
constexpr std::string_view kCommon = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function tell(what, id) redis.call('PUBLISH', ARGV[1], 'p' .. cjson.encode({[what] = id})) end
local function leave(id)
  if redis.call('ZREM', KEYS[1], id) == 0 then return end
  redis.call('HDEL', KEYS[2], id)
  tell('leave', id)
end
local function end_leases()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 500)) do leave(id) end
end
)";

Script with_common(std::string_view text) { return Script(std::string(kCommon) + std::string(text)); }

// ARGV: channel, ms of a lease, ms to keep the keys, number of joins, id and data of each, ids that leave. What is
// renewed has not ended, even if it is late.
const Script& change_script() {
  static const Script script = with_common(R"(
local last_join = 4 + 2 * tonumber(ARGV[4])
local ends = string.format('%.0f', now + tonumber(ARGV[2]))
local has_data = redis.call('EXISTS', KEYS[2]) == 1
for i = 5, last_join, 2 do
  local added = redis.call('ZADD', KEYS[1], ends, ARGV[i]) == 1
  if ARGV[i + 1] ~= '' then
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
  elseif has_data then
    redis.call('HDEL', KEYS[2], ARGV[i])
  end
  if added then tell('join', ARGV[i]) end
end
for i = last_join + 1, #ARGV do leave(ARGV[i]) end
end_leases()
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
)");
  return script;
}

// ARGV: channel.
const Script& count_script() {
  static const Script script = with_common(R"(
end_leases()
return redis.call('ZCOUNT', KEYS[1], string.format('(%.0f', now), '+inf')
)");
  return script;
}

// ARGV: channel, how many. Returns the count, then id and data of each.
const Script& list_script() {
  static const Script script = with_common(R"(
end_leases()
local after = string.format('(%.0f', now)
local reply = {redis.call('ZCOUNT', KEYS[1], after, '+inf')}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], after, '+inf', 'LIMIT', 0, ARGV[2])) do
  reply[#reply + 1] = id
  reply[#reply + 1] = redis.call('HGET', KEYS[2], id) or ''
end
return reply
)");
  return script;
}

// ARGV: channel, cursor. Returns the next cursor, then id and data of each.
const Script& page_script() {
  static const Script script = with_common(R"(
end_leases()
local page = redis.call('ZSCAN', KEYS[1], ARGV[2], 'COUNT', 1000)
local reply = {page[1]}
for i = 1, #page[2], 2 do
  if tonumber(page[2][i + 1]) > now then
    reply[#reply + 1] = page[2][i]
    reply[#reply + 1] = redis.call('HGET', KEYS[2], page[2][i]) or ''
  end
end
return reply
)");
  return script;
}

[[noreturn]] void throw_unexpected() { throw RedisError("the presence of a topic in Redis is not one of ours"); }

std::uint64_t count_in(const Reply& reply) {
  if (!reply.is_integer() || reply.integer() < 0) throw_unexpected();
  return static_cast<std::uint64_t>(reply.integer());
}

// A reply of a count or a cursor, then id and data of each member.
std::vector<PresentMember> members_behind_first(const Reply& reply) {
  const Reply::Array& values = reply.array();
  if (values.size() % 2 != 1) throw_unexpected();
  std::vector<PresentMember> members;
  members.reserve(values.size() / 2);
  for (std::size_t i = 1; i < values.size(); i += 2) members.push_back({values[i].string(), values[i + 1].string()});
  return members;
}

}  // namespace

Task<void> change_presence(RedisClient& client, const PresenceKeys& keys, const PresenceChange& change,
                           std::chrono::milliseconds lease) {
  const std::array<std::string_view, 2> key_views{keys.leases, keys.data};
  const std::string lease_text = std::to_string(lease.count());
  const std::string keep_text = std::to_string((lease + kKeysOutlive).count());
  const std::string joins_text = std::to_string(change.joins.size());
  std::vector<std::string_view> args{keys.channel, lease_text, keep_text, joins_text};
  args.reserve(args.size() + 2 * change.joins.size() + change.leaves.size());
  for (const PresentMember& join : change.joins) {
    args.push_back(join.id);
    args.push_back(join.data);
  }
  args.insert(args.end(), change.leaves.begin(), change.leaves.end());
  const Reply reply = co_await run_script(client, change_script(), key_views, args);
  require_served(reply);
}

Task<std::uint64_t> count_present(RedisClient& client, const PresenceKeys& keys, CallOptions options) {
  const std::array<std::string_view, 2> key_views{keys.leases, keys.data};
  const std::array<std::string_view, 1> args{keys.channel};
  const Reply reply = co_await run_script(client, count_script(), key_views, args, options);
  require_served(reply);
  co_return count_in(reply);
}

Task<PresenceList> list_present(RedisClient& client, const PresenceKeys& keys, std::size_t limit, CallOptions options) {
  const std::array<std::string_view, 2> key_views{keys.leases, keys.data};
  const std::string limit_text = std::to_string(limit);
  const std::array<std::string_view, 2> args{keys.channel, limit_text};
  const Reply reply = co_await run_script(client, list_script(), key_views, args, options);
  require_served(reply);
  PresenceList list;
  list.members = members_behind_first(reply);
  list.count = count_in(reply.array()[0]);
  co_return list;
}

Task<PresencePage> page_of_present(RedisClient& client, const PresenceKeys& keys, std::string_view cursor,
                                   CallOptions options) {
  const std::array<std::string_view, 2> key_views{keys.leases, keys.data};
  const std::array<std::string_view, 2> args{keys.channel, cursor};
  const Reply reply = co_await run_script(client, page_script(), key_views, args, options);
  require_served(reply);
  PresencePage page;
  page.members = members_behind_first(reply);
  page.next = reply.array()[0].string();
  if (page.next == "0") page.next.clear();
  co_return page;
}

}  // namespace pronghorn::worker
