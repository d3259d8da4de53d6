#include "worker/state/limits/permits/limit_script.h"

namespace pronghorn::worker {

// Each algorithm returns what the script returns for it, and, if it allows the request, the function that counts it,
// the number of permits that this takes, and for how many ms they count. A request that is refused leaves no trace.
// Every key expires when it has no meaning any more, so a missing one is a fresh limit. If a state comes from the
// future, the clock was set back. It counts if it may be right within a window; else nobody knows since when it is
// wrong, and the limit begins anew.
const Script& limit_script() {
  static const Script script(R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local algorithms = {}

local function granted(take, free)
  return take == 1 and 1 or math.max(1, math.min(take, math.floor(free / 2)))
end

function algorithms.fixed(key, count, window, take)
  local used, left = tonumber(redis.call('GET', key)) or 0, redis.call('PTTL', key)
  if left < 0 or left > 2 * window then used, left = 0, window end
  if used >= count then return 0, 0, left end
  local n = granted(take, count - used)
  return 1, count - used - n, left, function()
    if used == 0 then
      redis.call('SET', key, n, 'PX', window)
    else
      redis.call('INCRBY', key, n)
    end
  end, n, left
end

-- Two counters: one for this window, one for the window before. The requests of the window before count as if they were
-- spread evenly, so fewer of them count the more of this window has passed.
function algorithms.sliding(key, count, window, take)
  local saved = redis.call('HMGET', key, 'window', 'current', 'previous')
  local index, at = math.floor(now / window), math.floor(now)
  local last = tonumber(saved[1]) or index
  local current, previous = tonumber(saved[2]) or 0, tonumber(saved[3]) or 0
  if last > index + 1 then
    current, previous = 0, 0
  elseif index < last then
    index, at = last, last * window
  elseif index == last + 1 then
    current, previous = 0, current
  elseif index > last then
    current, previous = 0, 0
  end
  local elapsed = at - index * window
  local free = count - current - previous * (window - elapsed) / window
  local function until_free(wanted, current)
    if current + wanted <= count and previous > 0 then -- enough of the window before no longer counts
      return window * (1 - (count - wanted - current) / previous) - elapsed
    end
    return window - elapsed + window * (1 - (count - wanted) / current) -- enough of this one no longer counts
  end
  if free < 1 then return 0, 0, math.max(1, math.ceil(until_free(1, current))) end
  local n = granted(take, free)
  local remaining = math.floor(free - n)
  return 1, remaining, math.max(1, math.ceil(until_free(remaining + 1, current + n))), function()
    redis.call('HSET', key, 'window', index, 'current', current + n, 'previous', previous)
    redis.call('PEXPIRE', key, 2 * window)
  end, n, window - elapsed
end

function algorithms.bucket(key, count, window, take)
  local saved = redis.call('HMGET', key, 'tokens', 'at')
  local tokens, at = math.min(count, tonumber(saved[1]) or count), tonumber(saved[2]) or now
  if at > now + window then tokens, at = count, now end
  if now > at then
    tokens, at = math.min(count, tokens + (now - at) * count / window), now
  end
  local function until_tokens(wanted) return math.max(1, math.ceil((wanted - tokens) * window / count)) end
  if tokens < 1 then return 0, 0, until_tokens(1) end
  local n = granted(take, tokens)
  local remaining = math.floor(tokens - n)
  return 1, remaining, until_tokens(remaining + n + 1), function()
    redis.call('HSET', key, 'tokens', string.format('%.17g', tokens - n), 'at', string.format('%.3f', at))
    redis.call('PEXPIRE', key, until_tokens(count + n))
  end, n, window
end

-- The key holds the time at which the limit is unused again. Each request moves it by window / count; it may be at most
-- one window ahead. A hundredth of a millisecond is for rounding.
function algorithms.gcra(key, count, window, take)
  local interval = window / count
  local ahead = math.max(0, (tonumber(redis.call('GET', key)) or now) - now)
  ahead = ahead > 2 * window and 0 or math.min(window, ahead)
  if ahead + interval > window + 0.01 then return 0, 0, math.max(1, math.ceil(ahead + interval - window)) end
  local n = granted(take, (window - ahead + 0.01) / interval)
  ahead = ahead + n * interval
  local remaining = math.floor((window - ahead + 0.01) / interval)
  local more = math.ceil(ahead + (remaining + 1) * interval - window)
  return 1, remaining, math.max(1, more), function()
    redis.call('SET', key, string.format('%.3f', now + ahead), 'PX', math.max(1, math.ceil(ahead)))
  end, n, window
end

-- A set of the requests that run, with the time at which each is given up.
function algorithms.concurrent(key, count, window)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', math.floor(now))
  local free = count - redis.call('ZCARD', key)
  if free < 1 then return 0, 0, -1 end
  return 1, free - 1, -1, function()
    redis.call('ZADD', key, math.floor(now) + window, ARGV[1])
    redis.call('PEXPIRE', key, window)
  end, 1, window
end

local results, commits, counted, leases, refused = {}, {}, {}, {}, false
for i, key in ipairs(KEYS) do
  local first = 4 * i - 2
  local count, window, take = tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local allowed, remaining, reset, commit, n, lasts = algorithms[ARGV[first]](key, count, window, math.abs(take))
  local at = 3 * i - 2
  results[at], results[at + 1], results[at + 2], commits[i], counted[i] = allowed, remaining, reset, commit or false, n or 0
  if math.abs(take) > 1 then leases[#leases + 1] = {n or 0, lasts or 0} end
  refused = refused or (allowed == 0 and take > 0)
end
for i, commit in ipairs(commits) do
  if refused then
    results[3 * i - 1] = results[3 * i - 1] + counted[i]
  elseif commit then
    commit()
  end
end
for _, lease in ipairs(leases) do
  results[#results + 1] = refused and 0 or lease[1]
  results[#results + 1] = math.floor(lease[2])
end
return results
)lua");
  return script;
}

// A state that has meanwhile expired, or begun a new window, has nothing to take back.
const Script& take_back_script() {
  static const Script script(R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local algorithms = {}

function algorithms.fixed(key)
  if (tonumber(redis.call('GET', key)) or 0) > 0 then redis.call('DECR', key) end
end

function algorithms.sliding(key, _, window)
  local saved = redis.call('HMGET', key, 'window', 'current')
  if tonumber(saved[1]) == math.floor(now / window) and (tonumber(saved[2]) or 0) > 0 then
    redis.call('HINCRBY', key, 'current', -1)
  end
end

function algorithms.bucket(key, count)
  local tokens = tonumber(redis.call('HGET', key, 'tokens'))
  if tokens then redis.call('HSET', key, 'tokens', string.format('%.17g', math.min(count, tokens + 1))) end
end

function algorithms.gcra(key, count, window)
  local unused_at = tonumber(redis.call('GET', key))
  if unused_at then redis.call('SET', key, string.format('%.3f', unused_at - window / count), 'KEEPTTL') end
end

for i, key in ipairs(KEYS) do
  algorithms[ARGV[3 * i - 2]](key, tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]))
end
return 1
)lua");
  return script;
}

const Script& holders_script() {
  static const Script script(R"lua(
local named, list, removed, ends = {}, {}, 0, {}
for _, holder in ipairs(ARGV) do ends[holder] = true end
for _, request in ipairs(redis.call('ZRANGE', KEYS[1], 0, #ARGV > 0 and -1 or 9999)) do
  local holder = string.match(request, '^(.*)/') or ''
  if ends[holder] then removed = removed + redis.call('ZREM', KEYS[1], request) end
  if not named[holder] and #list < 1000 then
    named[holder] = true
    list[#list + 1] = holder
  end
end
if #ARGV > 0 then return removed end
return list
)lua");
  return script;
}

}  // namespace pronghorn::worker
