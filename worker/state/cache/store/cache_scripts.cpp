#include "worker/state/cache/store/cache_scripts.h"

#include "worker/state/cache/store/entry.h"

namespace pronghorn::worker {

// pcall: the reply to a key of another type is a table, which is not equal to any text.
const Script& take_lock_script() {
  static_assert(Entry::kPrefixSize == 17);
  static const Script script(R"lua(
local prefix = redis.pcall('GETRANGE', KEYS[1], 0, 16)
if type(prefix) == 'string' and prefix ~= '' and prefix ~= ARGV[3] then
  return {'entry', redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}
end
local held = redis.pcall('GET', KEYS[2])
if type(held) == 'string' and held ~= ARGV[4] then return {'held', held, redis.call('PTTL', KEYS[2])} end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'taken'}
)lua");
  return script;
}

const Script& renew_lock_script() {
  static const Script script(R"lua(
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
)lua");
  return script;
}

const Script& store_entry_script() {
  static const Script script(R"lua(
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
)lua");
  return script;
}

const Script& free_lock_script() {
  static const Script script(R"lua(
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
)lua");
  return script;
}

const Script& begin_write_script() {
  static const Script script(R"lua(
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[1])
return 1
)lua");
  return script;
}

const Script& end_write_script() {
  static const Script script(R"lua(
local ours = redis.pcall('GET', KEYS[2]) == ARGV[1]
redis.call('DEL', KEYS[2])
if ours and ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
redis.call('DEL', KEYS[1])
return 0
)lua");
  return script;
}

const Script& put_entry_script() {
  static const Script script(R"lua(
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
return 1
)lua");
  return script;
}

const Script& keep_only_script() {
  static const Script script(R"lua(
if redis.pcall('GETRANGE', KEYS[1], 1, 16) == ARGV[1] then return 1 end
redis.call('DEL', KEYS[1], KEYS[2])
return 0
)lua");
  return script;
}

// A version that may expire too soon lives for twice as long from then on, because each time that this is changed drops
// the local copies of all that carries it.
const Script& tag_version_script() {
  static const Script script(R"lua(
local version, life = redis.pcall('GET', KEYS[1]), tonumber(ARGV[2])
if type(version) ~= 'string' or #version ~= 16 then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', 2 * life)
  return ARGV[1]
end
if redis.call('PTTL', KEYS[1]) < life then redis.call('PEXPIRE', KEYS[1], 2 * life) end
return version
)lua");
  return script;
}

const Script& keep_version_script() {
  static const Script script(R"lua(
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] or redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
return redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
)lua");
  return script;
}

}  // namespace pronghorn::worker
