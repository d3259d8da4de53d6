// The script that runs for every batch of jobs. What Redis needs per job bounds how many run per second: so a command is
// given once per batch, and nothing is decoded or put together for a job whose first attempt is done, but one text.
#include <string>
#include <string_view>

#include "worker/state/jobs/queue/job_scripts.h"
#include "worker/state/jobs/queue/script_base.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kArguments = R"lua(
local owner, pid, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local want, room = tonumber(ARGV[4]), tonumber(ARGV[5])
local keep, most, keep_failed = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local firsts = tonumber(ARGV[9])
local first = first_run(owner)
local sizes = check_types()
local function push(list, one, other)
  list[#list + 1] = one
  list[#list + 1] = other
end
local function remember(list, one)
  list[#list + 1] = one
  if #list > 16 then table.remove(list, 1) end
end
local function many(command, key, list) if #list > 0 then call(command, key, unpack(list)) end end
)lua";

// Settles the jobs of the arguments from the tenth on.
constexpr std::string_view kSettle = R"lua(
local ends, lost, gone = 0, {}, {}
local done, records, results, others = {}, {}, {}, {}
local function finish(id, record)
  ends = ends + 1
  done[ends], records[2 * ends - 1], records[2 * ends] = id, id, record
end
local function has_settled(job, token)
  for _, each in ipairs(job.settled) do
    if each == token then return true end
  end
  return false
end
local function is_first_run(held) return held and string.find(held, first, 1, true) == 1 end
local function settle_firsts()
  if firsts == 0 then return end
  for k, held in ipairs(call('HMGET', RUN, unpack(ARGV, 10, 9 + firsts))) do
    if is_first_run(held) then
      finish(ARGV[9 + k], held)
    else
      push(others, {k, ARGV[9 + k], '1', 'done', '', '0'})
    end
  end
end
local function settle_other(held, raw, k, id, attempt, outcome, text, delay)
  local job, token = raw and decode(raw, held), owner .. '/' .. attempt
  if token_of(held) ~= token then
    if not job then
      gone[#gone + 1] = k
    elseif not has_settled(job, token) then
      lost[#lost + 1] = k
    end
    return
  end
  call('HDEL', RUN, id)
  if not job then return end
  remember(job.settled, token)
  if outcome == 'done' then
    if text ~= '' then push(results, id, text) end
    if is_first_run(held) then return finish(id, held) end
    job.state, job.reason, job.progress = 'done', nil, 1
    free_unique(id, job)
    finish(id, pack(job))
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
local function settle_others()
  for i = 10 + firsts, #ARGV, 5 do
    push(others, {firsts + (i - 10 - firsts) / 5 + 1, unpack(ARGV, i, i + 4)})
  end
  if #others == 0 then return end
  local ids = {}
  for k, other in ipairs(others) do ids[k] = other[2] end
  local held, raws = call('HMGET', RUN, unpack(ids)), call('HMGET', JOBS, unpack(ids))
  for k, other in ipairs(others) do settle_other(held[k], raws[k], unpack(other)) end
end
local function settle()
  if #ARGV > 9 then call('HINCRBY', TOTALS, 'done', 0) end  -- fails if it is no number, before anything is changed
  settle_firsts()
  settle_others()
  if ends == 0 then return end
  call('HDEL', RUN, unpack(done))
  call('HDEL', DATA, unpack(done))
  call('HINCRBY', TOTALS, 'done', ends)
  if keep == 0 then return call('HDEL', JOBS, unpack(done)) end
  call('HSET', JOBS, unpack(records))
  many('HSET', RESULTS, results)
  call('ZADD', DONE, now + keep, table.concat(done, ' '))
  sizes[JOBS] = sizes[JOBS] + ends
end
)lua";

// Forgets what has been kept for long enough, and finds the delayed jobs that are due. Done jobs are kept in batches, so
// that one insertion keeps a turn's. As many go as come, and a few more. They have no payload.
constexpr std::string_view kClean = R"lua(
local function forget_done()
  local kept = sizes[JOBS] - sizes[WAIT] - sizes[LATER] - sizes[RUN] - sizes[FAILED] - sizes[DEAD]
  local batches, ids = {}, {}
  while #ids < 20 + ends do
    local latest = kept - #ids > most and '+inf' or now
    local batch = call('ZRANGEBYSCORE', DONE, '-inf', latest, 'LIMIT', #batches, 1)[1]
    if not batch then break end
    push(batches, batch)
    for id in string.gmatch(batch, '%S+') do push(ids, id) end
  end
  many('ZREM', DONE, batches)
  many('HDEL', JOBS, ids)
  if sizes[RESULTS] > 0 or #results > 0 then many('HDEL', RESULTS, ids) end
end
local function clear(where)
  if sizes[where] == 0 then return end
  local ids = call('ZRANGEBYSCORE', where, '-inf', now, 'LIMIT', 0, 20)
  many('ZREM', where, ids)
  many('HDEL', JOBS, ids)
  many('HDEL', DATA, ids)
end
local function promote()
  local ids, places = call('ZRANGEBYSCORE', LATER, '-inf', now, 'LIMIT', 0, 100), {}
  if #ids == 0 then return end
  for k, raw in ipairs(call('HMGET', JOBS, unpack(ids))) do
    if raw then push(places, decode(raw).score, ids[k]) end
  end
  many('ZADD', WAIT, places)
  many('ZREM', LATER, ids)
end
)lua";

// Takes what waits, up to `want` jobs and `room` bytes, before one more.
constexpr std::string_view kTake = R"lua(
local kUnknownSize = 262144  -- of a payload; records of older versions do not tell
local taken, payloads, again = {}, {}, {}
local function take_other(id, raw, place, changed)
  local job = decode(raw)
  job.attempts, job.state = job.attempts + 1, 'running'
  remember(job.pids, pid)
  push(changed, id, pack(job))
  if job.attempts > 1 then push(again, {place, job.attempts, job.failures}) end
  return owner .. '/' .. job.attempts, tonumber(job.size) or kUnknownSize
end
local function take()
  if want <= 0 or room <= 0 then return end
  local ids = call('ZRANGE', WAIT, 0, want - 1)
  if #ids == 0 then return end
  local running, changed, n, seen, begin = {}, {}, 0, 0, first .. pid .. ' '
  for k, raw in ipairs(call('HMGET', JOBS, unpack(ids))) do
    if room <= 0 then break end
    seen = k
    if raw then
      local id, size = ids[k], kShortPayload
      n = n + 1
      taken[n], running[2 * n - 1] = id, id
      if is_short(raw) then
        running[2 * n] = begin .. raw
      else
        running[2 * n], size = take_other(id, raw, n, changed)
      end
      room = room - size
    end
  end
  if n > 0 then
    payloads = call('HMGET', DATA, unpack(taken))
    call('HSET', RUN, unpack(running))
    many('HSET', JOBS, changed)
    call('ZADD', OWNERS, now + lease, owner)
  end
  call('ZREMRANGEBYRANK', WAIT, 0, seen - 1)
end
)lua";

constexpr std::string_view kTurn = R"lua(
settle()
forget_done()
clear(FAILED)
clear(DEAD)
promote()
take()
local next = call('ZRANGE', LATER, 0, 0, 'WITHSCORES')[2]
return {lost, taken, payloads, again, call('ZCARD', WAIT), next and math.max(0, next - now) or -1, gone}
)lua";

}  // namespace

const Script& turn_script() {
  static const Script script = [] {
    std::string body;
    for (const std::string_view part : {kArguments, kSettle, kClean, kTake, kTurn}) body += part;
    return make_job_script(body);
  }();
  return script;
}

}  // namespace pronghorn::worker
