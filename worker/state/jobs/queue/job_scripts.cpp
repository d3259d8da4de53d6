#include "worker/state/jobs/queue/job_scripts.h"

#include <string>

#include "worker/state/jobs/queue/script_base.h"

namespace pronghorn::worker {
namespace {

// The seat of a job among the waiting: 2^44 jobs per priority, and 2^53 is the limit of a score.
constexpr const char* kEnqueue = R"lua(
local function enqueue(id, payload, priority, delay, unique, channel, name)
  local other = unique ~= '' and unique_holder(unique)
  if other then return {other, 0, 0} end
  -- Before anything is changed: these fail if a key holds another type, as does the first change.
  local others = call('ZCARD', delay == 0 and WAIT or LATER)
  call('HLEN', JOBS)
  call('HLEN', DATA)
  local number = call('HINCRBY', TOTALS, 'enqueued', 1)
  local score = number - priority * 17592186044416
  call('HSET', DATA, id, payload)
  -- If others wait already, whoever has room was told of them, and has not taken them yet; if another one is due
  -- earlier, it is known when.
  local first = delay == 0 and others == 0
  if unique == '' and delay == 0 and #payload <= kShortPayload then
    call('HSET', JOBS, id, short_record(now, score))
    call('ZADD', WAIT, score, id)
  else
    local job = {score = score, attempts = 0, failures = 0, kills = 0, interruptions = 0, at = now, pids = {},
                 size = #payload}
    if unique ~= '' then
      job.unique = unique
      call('HSET', UNIQUE, unique, id)
    end
    wait(id, job, delay == 0 and 0 or now + delay)
  end
  if first or (delay > 0 and call('ZRANK', LATER, id) == 0) then announce(channel, name) end
  return {id, 1, number}
end
)lua";

}  // namespace

const Script& enqueue_script() {
  static const Script script = make_job_script(
      std::string(kEnqueue) +
      "return enqueue(ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7])");
  return script;
}

const Script& tick_script() {
  static const Script script = make_job_script(std::string(kEnqueue) + R"lua(
local field, tick = 'tick:' .. ARGV[1], tonumber(ARGV[2])
local latest = now / 1000 + 3600
if tick > latest then return -1 end
local taken = tonumber(call('HGET', TOTALS, field) or 0) or 0
if taken >= tick and taken <= latest then return 0 end
local added = enqueue(ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9])[2]
call('HSET', TOTALS, field, tick)
return added
)lua");
  return script;
}

const Script& sync_script() {
  static const Script script = make_job_script(R"lua(
local owner, lease, allowed, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local known, alive, reply = {}, {}, {}
check_types()
for i = 6, #ARGV do known[ARGV[i]] = true end
if #ARGV > 5 then call('ZADD', OWNERS, now + lease, owner) else call('ZREM', OWNERS, owner) end
local owners = call('ZRANGE', OWNERS, 0, -1, 'WITHSCORES')
local synced = tonumber(call('HGET', TOTALS, 'synced') or now) or now
local was_away = now - synced > tonumber(ARGV[5])
if #owners > 0 then call('HSET', TOTALS, 'synced', now) end
for i = 1, #owners, 2 do
  local left = owners[i + 1] - now
  if was_away then call('ZADD', OWNERS, now + lease, owners[i]) end
  if left <= 0 and not was_away then
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
  local id, token = running[i], token_of(running[i + 1])
  local its = owner_of(token)
  if its == owner then
    if not known[id .. string.sub(token, #owner + 1)] then
      give_back(id, false, false, allowed, keep, 'its worker did not learn of it')
    end
  elseif not alive[its] then
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
  static const Script script = make_job_script(R"lua(
local owner, blamed, allowed, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local moved, reply = 0, {0}
check_types()
call('ZREM', OWNERS, owner)
local running = call('HGETALL', RUN)
for i = 1, #running, 2 do
  local id = running[i]
  if owner_of(running[i + 1]) == owner then
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
  static const Script script = make_job_script(R"lua(
local id, token = ARGV[1], ARGV[3] .. '/' .. ARGV[2]
if token_of(call('HGET', RUN, id)) ~= token then return 0 end
local job = read(id)
if not job then return 0 end
job.progress = tonumber(ARGV[4])
write(id, job)
call('HSET', RUN, id, token)  -- its record is not short any more
return 1
)lua");
  return script;
}

const Script& find_script() {
  static const Script script = make_job_script(R"lua(
local job = read(ARGV[1])
if not job then return false end
return {job.state or 'waiting', job.attempts, job.failures, job.kills, tostring(job.at), tostring(job.due or 0),
        tostring(job.progress or 0), job.reason or '', job.report or '', table.concat(job.pids, ' '),
        call('HGET', RESULTS, ARGV[1])}
)lua");
  return script;
}

const Script& payload_script() {
  static const Script script = make_job_script("return call('HGET', DATA, ARGV[1])");
  return script;
}

const Script& retry_script() {
  static const Script script = make_job_script(R"lua(
local id = ARGV[1]
check_types()
if call('ZREM', FAILED, id) + call('ZREM', DEAD, id) == 0 then return 0 end
local job = read(id)
if not job then return 0 end
job.failures, job.kills, job.interruptions = 0, 0, 0
if job.unique and not unique_holder(job.unique) then
  call('HSET', UNIQUE, job.unique, id)
else
  job.unique = nil
end
wait(id, job, 0)
return 1
)lua");
  return script;
}

const Script& drop_script() {
  static const Script script = make_job_script(R"lua(
local id = ARGV[1]
check_types()
local job = read(id)
if not job or call('HEXISTS', RUN, id) == 1 then return 0 end
for _, where in ipairs({WAIT, LATER, DONE, FAILED, DEAD}) do call('ZREM', where, id) end
free_unique(id, job)
for _, what in ipairs({JOBS, DATA, RESULTS}) do call('HDEL', what, id) end
return 1
)lua");
  return script;
}

const Script& counts_script() {
  static const Script script = make_job_script(R"lua(
return {call('ZCARD', WAIT) + call('ZCARD', LATER), call('HLEN', RUN), tonumber(call('HGET', TOTALS, 'done') or 0) or 0,
        call('ZCARD', FAILED), call('ZCARD', DEAD)}
)lua");
  return script;
}

const Script& list_script() {
  static const Script script = make_job_script(R"lua(
local state, most = ARGV[1], tonumber(ARGV[2])
local function first(where) return call('ZRANGE', where, 0, most - 1) end
-- Jobs in batches, without those that have been dropped since.
local function last_done()
  local ids, seen = {}, 0
  while #ids < most do
    local batches = call('ZREVRANGE', DONE, seen, seen + 15)
    if #batches == 0 then break end
    seen = seen + #batches
    for _, batch in ipairs(batches) do
      local its = {}
      for id in string.gmatch(batch, '%S+') do table.insert(its, 1, id) end
      for k, raw in ipairs(#its > 0 and call('HMGET', JOBS, unpack(its)) or {}) do
        if raw and #ids < most then ids[#ids + 1] = its[k] end
      end
    end
  end
  return ids
end
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
if state == 'done' then return last_done() end
return call('ZREVRANGE', state == 'failed' and FAILED or DEAD, 0, most - 1)
)lua");
  return script;
}

}  // namespace pronghorn::worker
