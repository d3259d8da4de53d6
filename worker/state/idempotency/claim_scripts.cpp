#include "worker/state/idempotency/claim_scripts.h"

namespace pronghorn::worker {

const Script& take_script() {
  static const Script script(R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local saved = redis.call('HMGET', KEYS[1], 'print', 'claim', 'until')
if saved[1] and saved[1] ~= ARGV[1] then return {'other'} end
if saved[1] and not saved[2] then
  local kept = redis.call('HMGET', KEYS[1], 'status', 'type', 'fields', 'body')
  return {'finished', kept[1], kept[2], kept[3], kept[4]}
end
if saved[1] and saved[2] ~= ARGV[5] then
  return {'running', saved[2], (tonumber(saved[3]) or 0) - now}
end
redis.call('HSET', KEYS[1], 'print', ARGV[1], 'claim', ARGV[2], 'until', now + ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'taken'}
)lua");
  return script;
}

const Script& renew_script() {
  static const Script script(R"lua(
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
)lua");
  return script;
}

const Script& finish_script() {
  static const Script script(R"lua(
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[3], 'type', ARGV[4], 'fields', ARGV[5], 'body', ARGV[6])
redis.call('HDEL', KEYS[1], 'claim', 'until')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
)lua");
  return script;
}

const Script& give_up_script() {
  static const Script script(R"lua(
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
)lua");
  return script;
}

}  // namespace pronghorn::worker
