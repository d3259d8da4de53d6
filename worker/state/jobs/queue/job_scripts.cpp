#include "worker/state/jobs/queue/job_scripts.h"

#include <string>

namespace pronghorn::worker {
namespace {

// What several scripts need. KEYS are in the order of QueueKeys. A record that cannot be read (somebody else has written
// it) counts as that of a new job, so that one of them does not stop a queue.
constexpr const char* kPrelude = R"lua(
local WAIT, LATER, RUN, OWNERS, JOBS, DATA = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local RESULTS, DONE, FAILED, DEAD, UNIQUE, TOTALS = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local call, pack = redis.call, cmsgpack.pack
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local FIELDS = {'score', 'attempts', 'failures', 'kills', 'interruptions', 'at'}
local function decode(raw)
  local ok, job = pcall(cmsgpack.unpack, raw)
  if not ok or type(job) ~= 'table' then job = {} end
  for _, field in ipairs(FIELDS) do
    if type(job[field]) ~= 'number' then job[field] = 0 end
  end
  if type(job.pids) ~= 'table' then job.pids = {} end
  return job
end
local function read(id)
  local raw = call('HGET', JOBS, id)
  return raw and decode(raw) or nil
end
-- Fails if a key holds another type, before anything is changed. The last call writes nothing, but after a write Redis
-- accepts more of them even if its memory is full, so a full Redis can be emptied.
local function check_types()
  for _, key in ipairs({WAIT, LATER, OWNERS, DONE, FAILED, DEAD}) do call('ZCARD', key) end
  for _, key in ipairs({RUN, JOBS, DATA, RESULTS, UNIQUE, TOTALS}) do call('HLEN', key) end
  call('HDEL', RUN, '')
end
local function write(id, job) call('HSET', JOBS, id, pack(job)) end
local function wait(id, job, due)
  job.state, job.due = 'waiting', due
  write(id, job)
  if due > now then call('ZADD', LATER, due, id) else call('ZADD', WAIT, job.score, id) end
end
local function free_unique(id, job)
  if job.unique and call('HGET', UNIQUE, job.unique) == id then call('HDEL', UNIQUE, job.unique) end
end
local function bury(id, job, state, where, until_ms, reason)
  job.state, job.reason, job.ended = state, reason, now
  write(id, job)
  free_unique(id, job)
  call('ZADD', where, until_ms, id)
end
local function forget(id)
  call('HDEL', JOBS, id)
  call('HDEL', DATA, id)
  call('HDEL', RESULTS, id)
end
-- A job whose worker ended. `blamed`: it killed the worker.
local function give_back(id, blamed, counted, allowed, keep, reason, report)
  local job = read(id)
  if not job then return false end
  job.reason = reason
  if blamed then
    job.kills, job.report = job.kills + 1, report
  elseif counted then
    job.interruptions = job.interruptions + 1
  end
  if job.kills >= 2 then
    bury(id, job, 'dead', DEAD, now + keep, 'it killed ' .. job.kills .. ' workers: ' .. reason)
  elseif job.interruptions >= allowed then
    bury(id, job, 'dead', DEAD, now + keep,
         'its worker ended ' .. job.interruptions .. ' times while it ran: ' .. reason)
  else
    wait(id, job, 0)
    return false
  end
  return true
end
local function owner_of(token) return string.match(token, '^(.*)/%d+$') or token end
local function announce(channel, name) if channel ~= '' then redis.pcall('PUBLISH', channel, name) end end
)lua";

Script make(const char* body) { return Script(std::string(kPrelude) + body); }

// The seat of a job among the waiting: 2^44 jobs per priority, and 2^53 is the limit of a score.
constexpr const char* kEnqueue = R"lua(
local function enqueue(id, payload, priority, delay, unique, channel, name)
  if unique ~= '' then
    local other = call('HGET', UNIQUE, unique)
    if other and call('HEXISTS', JOBS, other) == 1 then return {other, 0, 0} end
  end
  local number = call('HINCRBY', TOTALS, 'enqueued', 1)
  local job = {score = number - priority * 17592186044416, attempts = 0, failures = 0, kills = 0, interruptions = 0,
               at = now, pids = {}}
  call('HSET', DATA, id, payload)
  if unique ~= '' then
    job.unique = unique
    call('HSET', UNIQUE, unique, id)
  end
  -- If others wait already, whoever has room was told of them, and has not taken them yet; if another one is due
  -- earlier, it is known when.
  local first = delay == 0 and call('ZCARD', WAIT) == 0
  wait(id, job, delay == 0 and 0 or now + delay)
  if first or (delay > 0 and call('ZRANK', LATER, id) == 0) then announce(channel, name) end
  return {id, 1, number}
end
)lua";

}  // namespace

const Script& enqueue_script() {
  static const Script script =
      make((std::string(kEnqueue) +
            "return enqueue(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7])")
               .c_str());
  return script;
}

const Script& tick_script() {
  static const Script script = make((std::string(kEnqueue) + R"lua(
local field, tick = 'tick:' .. ARGV[1], tonumber(ARGV[2])
if (tonumber(call('HGET', TOTALS, field) or 0) or 0) >= tick then return 0 end
call('HSET', TOTALS, field, tick)
return enqueue(ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9])[2]
)lua")
                                        .c_str());
  return script;
}

// Most jobs are done at the first attempt, so that is done for many at a time.
const Script& turn_script() {
  static const Script script = make(R"lua(
local owner, pid, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local want, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local keep, most, keep_failed = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local settled, taken = {}, {}
check_types()
local function push(list, one, other)
  list[#list + 1] = one
  list[#list + 1] = other
end
local function many(command, key, list) if #list > 0 then call(command, key, unpack(list)) end end
local function settle()
  local ids, tokens, mine = {}, {}, {}
  for i = 9, #ARGV, 5 do push(ids, ARGV[i]); tokens[#ids] = owner .. '/' .. ARGV[i + 1] end
  if #ids == 0 then return end
  local held, raws = call('HMGET', RUN, unpack(ids)), call('HMGET', JOBS, unpack(ids))
  for k, id in ipairs(ids) do
    if held[k] == tokens[k] then push(mine, id) end
  end
  many('HDEL', RUN, mine)
  local done, gone, forgotten, records, results, ends = 0, {}, {}, {}, {}, {}
  for k, id in ipairs(ids) do
    local outcome, text, delay = ARGV[4 + 5 * k + 2], ARGV[4 + 5 * k + 3], ARGV[4 + 5 * k + 4]
    local job = raws[k] and decode(raws[k])
    settled[k] = (held[k] == tokens[k] or (job and job.settled == tokens[k])) and 1 or 0
    if held[k] == tokens[k] and job then
      job.settled = tokens[k]
      if outcome == 'done' then
        done = done + 1
        push(gone, id)
        free_unique(id, job)
        if keep == 0 then
          push(forgotten, id)
        else
          job.state, job.reason, job.ended, job.progress = 'done', nil, now, 1
          push(records, id, pack(job))
          push(ends, now + keep, id)
          if text ~= '' then push(results, id, text) end
        end
      elseif outcome == 'failed' then
        job.failures = job.failures + 1
        bury(id, job, 'failed', FAILED, now + keep_failed, text)
      elseif outcome == 'retry' then
        job.failures, job.reason = job.failures + 1, text
        wait(id, job, now + tonumber(delay))
      else
        wait(id, job, 0)
      end
    end
  end
  if done > 0 then call('HINCRBY', TOTALS, 'done', done) end
  many('HDEL', DATA, gone)
  many('HDEL', JOBS, forgotten)
  many('HSET', JOBS, records)
  many('HSET', RESULTS, results)
  many('ZADD', DONE, ends)
end
local function clear(where, ids)
  many('ZREM', where, ids)
  many('HDEL', JOBS, ids)
  many('HDEL', DATA, ids)
  many('HDEL', RESULTS, ids)
end
local function clean()
  clear(DONE, call('ZRANGEBYSCORE', DONE, '-inf', now, 'LIMIT', 0, 20 + #settled))
  local surplus = call('ZCARD', DONE) - most
  if surplus > 0 then clear(DONE, call('ZRANGE', DONE, 0, math.min(surplus, 20 + #settled) - 1)) end
  clear(FAILED, call('ZRANGEBYSCORE', FAILED, '-inf', now, 'LIMIT', 0, 20))
  clear(DEAD, call('ZRANGEBYSCORE', DEAD, '-inf', now, 'LIMIT', 0, 20))
  for _, id in ipairs(call('ZRANGEBYSCORE', LATER, '-inf', now, 'LIMIT', 0, 100)) do
    call('ZREM', LATER, id)
    local job = read(id)
    if job then call('ZADD', WAIT, job.score, id) end
  end
end
-- A few at a time, because of the memory for their payloads.
local function take()
  local ids = call('ZRANGE', WAIT, 0, math.min(want - #taken, 16) - 1)
  if #ids == 0 then return false end
  local raws, payloads = call('HMGET', JOBS, unpack(ids)), call('HMGET', DATA, unpack(ids))
  local records, tokens = {}, {}
  for k, id in ipairs(ids) do
    if raws[k] then
      local job, payload = decode(raws[k]), payloads[k] or ''
      job.attempts = job.attempts + 1
      job.state = 'running'
      push(job.pids, pid)
      if #job.pids > 16 then table.remove(job.pids, 1) end
      push(records, id, pack(job))
      push(tokens, id, owner .. '/' .. job.attempts)
      room = room - #payload
      push(taken, {id, job.attempts, job.failures, payload})
    end
  end
  many('HSET', RUN, tokens)
  many('HSET', JOBS, records)
  call('ZREM', WAIT, unpack(ids))
  return true
end
settle()
clean()
while #taken < want and room > 0 and take() do end
if #taken > 0 then call('ZADD', OWNERS, now + lease, owner) end
local next = call('ZRANGE', LATER, 0, 0, 'WITHSCORES')[2]
return {settled, taken, call('ZCARD', WAIT), next and math.max(0, next - now) or -1}
)lua");
  return script;
}

const Script& sync_script() {
  static const Script script = make(R"lua(
local owner, lease, allowed, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local known, alive, reply = {}, {}, {}
check_types()
for i = 5, #ARGV do known[ARGV[i]] = true end
if #ARGV > 4 then call('ZADD', OWNERS, now + lease, owner) else call('ZREM', OWNERS, owner) end
local owners = call('ZRANGE', OWNERS, 0, -1, 'WITHSCORES')
for i = 1, #owners, 2 do
  local left = owners[i + 1] - now
  if left <= 0 then
    call('ZREM', OWNERS, owners[i])
  else
    alive[owners[i]] = true
    if owners[i] ~= owner then
      reply[#reply + 1] = owners[i]
      reply[#reply + 1] = left
    end
  end
end
local running = call('HGETALL', RUN)
for i = 1, #running, 2 do
  local id, token = running[i], running[i + 1]
  local its = owner_of(token)
  if its == owner then
    if not known[id .. string.sub(token, #owner + 1)] then
      call('HDEL', RUN, id)
      give_back(id, false, false, allowed, keep, 'its worker did not learn of it')
    end
  elseif not alive[its] then
    call('HDEL', RUN, id)
    give_back(id, false, true, allowed, keep, 'its worker has stopped renewing its lease')
  end
end
local counts = {call('ZCARD', WAIT) + call('ZCARD', LATER), call('HLEN', RUN), call('ZCARD', FAILED),
                call('ZCARD', DEAD)}
for _, value in ipairs(reply) do counts[#counts + 1] = value end
return counts
)lua");
  return script;
}

const Script& take_over_script() {
  static const Script script = make(R"lua(
local owner, blamed, allowed, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local moved, reply = 0, {0}
check_types()
call('ZREM', OWNERS, owner)
local running = call('HGETALL', RUN)
for i = 1, #running, 2 do
  local id = running[i]
  if owner_of(running[i + 1]) == owner then
    call('HDEL', RUN, id)
    moved = moved + 1
    if give_back(id, id == blamed, ARGV[7] == '1', allowed, keep, ARGV[5], ARGV[6]) then reply[#reply + 1] = id end
  end
end
if moved > 0 then announce(ARGV[8], ARGV[9]) end
reply[1] = moved
return reply
)lua");
  return script;
}

const Script& progress_script() {
  static const Script script = make(R"lua(
if call('HGET', RUN, ARGV[1]) ~= ARGV[3] .. '/' .. ARGV[2] then return 0 end
local job = read(ARGV[1])
if not job then return 0 end
job.progress = tonumber(ARGV[4])
write(ARGV[1], job)
return 1
)lua");
  return script;
}

const Script& find_script() {
  static const Script script = make(R"lua(
local job = read(ARGV[1])
if not job then return false end
return {job.state or 'waiting', job.attempts, job.failures, job.kills, tostring(job.at), tostring(job.due or 0),
        tostring(job.progress or 0), job.reason or '', job.report or '', table.concat(job.pids, ' '),
        call('HGET', RESULTS, ARGV[1])}
)lua");
  return script;
}

const Script& payload_script() {
  static const Script script = make("return call('HGET', DATA, ARGV[1])");
  return script;
}

const Script& retry_script() {
  static const Script script = make(R"lua(
local id = ARGV[1]
check_types()
if call('ZREM', FAILED, id) + call('ZREM', DEAD, id) == 0 then return 0 end
local job = read(id)
if not job then return 0 end
job.failures, job.kills, job.interruptions, job.unique = 0, 0, 0, nil
wait(id, job, 0)
return 1
)lua");
  return script;
}

const Script& drop_script() {
  static const Script script = make(R"lua(
local id = ARGV[1]
local job = read(id)
if not job or call('HEXISTS', RUN, id) == 1 then return 0 end
for _, where in ipairs({WAIT, LATER, DONE, FAILED, DEAD}) do call('ZREM', where, id) end
free_unique(id, job)
forget(id)
return 1
)lua");
  return script;
}

const Script& counts_script() {
  static const Script script = make(R"lua(
return {call('ZCARD', WAIT) + call('ZCARD', LATER), call('HLEN', RUN), tonumber(call('HGET', TOTALS, 'done') or 0) or 0,
        call('ZCARD', FAILED), call('ZCARD', DEAD)}
)lua");
  return script;
}

const Script& list_script() {
  static const Script script = make(R"lua(
local state, most = ARGV[1], tonumber(ARGV[2])
local function first(where) return call('ZRANGE', where, 0, most - 1) end
local function last(where) return call('ZREVRANGE', where, 0, most - 1) end
if state == 'running' then
  local ids = call('HKEYS', RUN)
  while #ids > most do table.remove(ids) end
  return ids
end
if state == 'waiting' then
  local ids = first(WAIT)
  for _, id in ipairs(first(LATER)) do
    if #ids < most then ids[#ids + 1] = id end
  end
  return ids
end
return last(({done = DONE, failed = FAILED, dead = DEAD})[state] or DEAD)
)lua");
  return script;
}

}  // namespace pronghorn::worker
