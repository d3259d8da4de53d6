#include "worker/state/tokens/token_scripts.h"

namespace pronghorn::worker {

const Script& begin_family_script() {
  static const Script script(R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'current', ARGV[1], 'sub', ARGV[2], 'scope', ARGV[3], 'claims', ARGV[4],
           'until', now + ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
)lua");
  return script;
}

const Script& rotate_script() {
  static const Script script(R"lua(
local saved = redis.call('HMGET', KEYS[1], 'current', 'sub', 'scope', 'claims', 'until')
if not saved[1] then return {'unknown'} end
if saved[1] ~= ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[4])
  return {'reused', saved[2]}
end
local time = redis.call('TIME')
local left = (tonumber(saved[5]) or 0) - (time[1] * 1000 + math.floor(time[2] / 1000))
if left <= 0 then
  redis.call('DEL', KEYS[1])
  return {'unknown'}
end
redis.call('HSET', KEYS[1], 'current', ARGV[2])
redis.call('PEXPIRE', KEYS[1], math.min(left, tonumber(ARGV[3])))
return {'rotated', saved[2], saved[3], saved[4]}
)lua");
  return script;
}

const Script& end_family_script() {
  static const Script script(R"lua(
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
return redis.call('DEL', KEYS[1])
)lua");
  return script;
}

}  // namespace pronghorn::worker
