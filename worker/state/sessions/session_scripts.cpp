#include "worker/state/sessions/session_scripts.h"

namespace pronghorn::worker {

// A mark tells when it was set. If that was while the request that logs in was under way, its login is void; a mark
// from the future, of a clock that was set back, says nothing.
const Script& session_write_script() {
  static const Script script(R"lua(
local key, old, mark = KEYS[1], ARGV[5] == '1' and KEYS[2], ARGV[6] == '1' and KEYS[#KEYS]
local sets = tonumber(ARGV[4])
local value = mark and redis.call('GET', mark)  -- first: if it fails, nothing has changed
local ended = value and tonumber(string.match(value, '^%x+ (%d+)$'))
if ended then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  if ended <= now and ended >= now - ARGV[8] then return 0 end
end
if old and redis.call('EXISTS', old) == 1 then
  redis.call('RENAME', old, key)
elseif old and sets == 0 then
  return 0
elseif not old and ARGV[2] == '0' and redis.call('EXISTS', key) == 0 then
  return 0
end
if ARGV[3] ~= '' then redis.call('HSET', key, '_pronghorn.sent', ARGV[3]) end
if ARGV[7] ~= '' then redis.call('HSET', key, '_pronghorn.born', ARGV[7]) end
local last = 8 + 2 * sets
for i = 9, last, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('HDEL', key, ARGV[i]) end
if mark and value then redis.call('HSET', key, '_pronghorn.mark', value) end
if mark and not value then redis.call('HDEL', key, '_pronghorn.mark') end
redis.call('PEXPIRE', key, ARGV[1])
return 1
)lua");
  return script;
}

const Script& session_mark_script() {
  static const Script script(R"lua(
local time = redis.call('TIME')
return redis.call('SET', KEYS[1], string.format('%s %.0f', ARGV[1], time[1] * 1000000 + time[2]), 'PX', ARGV[2])
)lua");
  return script;
}

// HGET reads the new value as text, because a Lua number is a double.
const Script& session_increment_script() {
  static const Script script(R"lua(
local key, field = KEYS[1], ARGV[4]
if ARGV[2] == '0' and redis.call('EXISTS', key) == 0 then return false end
if ARGV[6] ~= '' then redis.call('HSET', key, field, ARGV[6]) else redis.call('HINCRBY', key, field, ARGV[5]) end
if ARGV[2] == '1' then redis.call('HSETNX', key, '_pronghorn.sent', ARGV[3]) end
if ARGV[7] ~= '' then redis.call('HSETNX', key, '_pronghorn.born', ARGV[7]) end
redis.call('PEXPIRE', key, ARGV[1])
return redis.call('HGET', key, field)
)lua");
  return script;
}

}  // namespace pronghorn::worker
