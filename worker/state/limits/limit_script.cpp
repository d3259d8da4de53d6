#include "worker/state/limits/limit_script.h"

namespace pronghorn::worker {

// Each algorithm returns what the script returns for it, and the function that counts the request. A request that is
// refused leaves no trace. Every key expires when it has no meaning any more, so a missing one is a fresh limit. If a
// state comes from the future, the clock was set back.
const Script& limit_script() {
  static const Script script(R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local algorithms = {}

function algorithms.fixed(key, count, window)
  local used, left = tonumber(redis.call('GET', key)) or 0, redis.call('PTTL', key)
  if left < 0 then used, left = 0, window end
  if used >= count then return 0, 0, left end
  return 1, count - used - 1, left, function()
    if used == 0 then
      redis.call('SET', key, 1, 'PX', window)
    else
      redis.call('INCR', key)
    end
  end
end

-- Two counters: one for this window, one for the window before. The requests of the window before count as if they were
-- spread evenly, so fewer of them count the more of this window has passed.
function algorithms.sliding(key, count, window)
  local saved = redis.call('HMGET', key, 'window', 'current', 'previous')
  local index, at = math.floor(now / window), math.floor(now)
  local last = tonumber(saved[1]) or index
  local current, previous = tonumber(saved[2]) or 0, tonumber(saved[3]) or 0
  if index < last then
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
  local remaining = math.floor(free - 1)
  return 1, remaining, math.max(1, math.ceil(until_free(remaining + 1, current + 1))), function()
    redis.call('HSET', key, 'window', index, 'current', current + 1, 'previous', previous)
    redis.call('PEXPIRE', key, 2 * window)
  end
end

function algorithms.bucket(key, count, window)
  local saved = redis.call('HMGET', key, 'tokens', 'at')
  local tokens, at = math.min(count, tonumber(saved[1]) or count), tonumber(saved[2]) or now
  if now > at then
    tokens, at = math.min(count, tokens + (now - at) * count / window), now
  end
  local function until_tokens(wanted) return math.max(1, math.ceil((wanted - tokens) * window / count)) end
  if tokens < 1 then return 0, 0, until_tokens(1) end
  local remaining = math.floor(tokens - 1)
  return 1, remaining, until_tokens(remaining + 2), function()
    redis.call('HSET', key, 'tokens', string.format('%.17g', tokens - 1), 'at', string.format('%.3f', at))
    redis.call('PEXPIRE', key, until_tokens(count + 1))
  end
end

-- The key holds the time at which the limit is unused again. Each request moves it by window / count; it may be at most
-- one window ahead. A hundredth of a millisecond is for rounding.
function algorithms.gcra(key, count, window)
  local interval = window / count
  local ahead = math.min(window, math.max(0, (tonumber(redis.call('GET', key)) or now) - now)) + interval
  if ahead > window + 0.01 then return 0, 0, math.max(1, math.ceil(ahead - window)) end
  local remaining = math.floor((window - ahead + 0.01) / interval)
  local more = math.ceil(ahead + (remaining + 1) * interval - window)
  return 1, remaining, math.max(1, more), function()
    redis.call('SET', key, string.format('%.3f', now + ahead), 'PX', math.max(1, math.ceil(ahead)))
  end
end

-- A set of the requests that run, with the time at which each is given up.
function algorithms.concurrent(key, count, window)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', math.floor(now))
  local free = count - redis.call('ZCARD', key)
  if free < 1 then return 0, 0, -1 end
  return 1, free - 1, -1, function()
    redis.call('ZADD', key, math.floor(now) + window, ARGV[1])
    redis.call('PEXPIRE', key, window)
  end
end

local results, commits, refused = {}, {}, false
for i, key in ipairs(KEYS) do
  local first = 3 * i - 1
  local check, count, window = algorithms[ARGV[first]], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
  results[first - 1], results[first], results[first + 1], commits[i] = check(key, count, window)
  refused = refused or results[first - 1] == 0
end
if not refused then
  for _, commit in ipairs(commits) do commit() end
end
return results
)lua");
  return script;
}

}  // namespace pronghorn::worker
