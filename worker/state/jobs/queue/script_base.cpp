#include "worker/state/jobs/queue/script_base.h"

#include <string>

namespace pronghorn::worker {
namespace {

// KEYS are in the order of QueueKeys. job_scripts.h describes records. One that cannot be read (somebody else has written
// it) counts as that of a new job, and a field that cannot be right as if it were absent, so that no record stops a queue.
constexpr std::string_view kBase = R"lua(
local WAIT, LATER, RUN, OWNERS, JOBS, DATA = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local RESULTS, DONE, FAILED, DEAD, UNIQUE, TOTALS = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local call, pack, byte, match = redis.call, cmsgpack.pack, string.byte, string.match
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kShortPayload = 4096  -- bytes: what a job with a short record has at most
local kMost, kMostTries = 9007199254740991, 2147483647
local NUMBERS = {score = kMost, at = kMost, attempts = kMostTries, failures = kMostTries, kills = kMostTries,
                 interruptions = kMostTries}
local TEXTS = {'state', 'unique', 'reason', 'report'}
-- Short records, and what stands in RUN for the first attempt of a job that has one: job_scripts.h. Such a text of an
-- owner begins with first_run(owner).
local function short_record(at, score) return string.format('=%.0f %.0f', at, score) end
local function is_short(raw) return byte(raw) == 61 end
local function first_run(owner) return '+' .. owner .. '/1 ' end
local function token_of(held) return held and (match(held, '^%+(.*/1) ') or held) end
local function owner_of(held) return match(token_of(held), '^(.*)/%d+$') or held end
local function read_short(raw)
  local at, score = match(raw, '^=(%d+) (%-?%d+)$')
  return {at = tonumber(at), score = tonumber(score)}
end
local function read_first_run(text, state)
  local token, pid, raw = match(text, '^%+(.*/1) (%d+) (.*)$')
  if not token then return {} end
  local job = read_short(raw)
  job.state, job.attempts, job.pids = state, 1, {pid}
  if state == 'done' then job.settled, job.progress = token, 1 end
  return job
end
local function unpacked(raw)
  local ok, job = pcall(cmsgpack.unpack, raw)
  return ok and type(job) == 'table' and job or {}
end
-- `held`: what stands in RUN for the job, if anything does.
local function decode(raw, held)
  local job
  if byte(raw) == 43 then
    job = read_first_run(raw, 'done')
  elseif not is_short(raw) then
    job = unpacked(raw)
  elseif held and byte(held) == 43 then
    job = read_first_run(held, 'running')
  else
    job = read_short(raw)
  end
  for field, most in pairs(NUMBERS) do
    local value, least = job[field], field == 'score' and -most or 0
    if type(value) ~= 'number' or value % 1 ~= 0 or value < least or value > most then job[field] = 0 end
  end
  for _, field in ipairs(TEXTS) do
    if type(job[field]) ~= 'string' then job[field] = nil end
  end
  if type(job.pids) ~= 'table' or not pcall(table.concat, job.pids) then job.pids = {} end
  if type(job.settled) ~= 'table' then job.settled = {job.settled} end
  return job
end
local function read(id)
  local raw = call('HGET', JOBS, id)
  return raw and decode(raw, call('HGET', RUN, id)) or nil
end
-- Fails if a key holds another type, before anything is changed. The last call writes nothing, but after a write Redis
-- accepts more of them even if its memory is full, so a full Redis can be emptied. Returns how much each key holds.
local function check_types()
  local sizes = {}
  for _, key in ipairs({WAIT, LATER, OWNERS, DONE, FAILED, DEAD}) do sizes[key] = call('ZCARD', key) end
  for _, key in ipairs({RUN, JOBS, DATA, RESULTS, UNIQUE, TOTALS}) do sizes[key] = call('HLEN', key) end
  call('HDEL', RUN, '')
  return sizes
end
local function write(id, job) call('HSET', JOBS, id, pack(job)) end
local function wait(id, job, due)
  job.state, job.due = 'waiting', due
  write(id, job)
  if due > now then call('ZADD', LATER, due, id) else call('ZADD', WAIT, job.score, id) end
end
-- The job with that text that waits or runs.
local function unique_holder(text)
  local id = call('HGET', UNIQUE, text)
  return id and call('HEXISTS', JOBS, id) == 1 and id or nil
end
local function free_unique(id, job)
  if job.unique and call('HGET', UNIQUE, job.unique) == id then call('HDEL', UNIQUE, job.unique) end
end
local function bury(id, job, state, where, until_ms, reason)
  job.state, job.reason = state, reason
  write(id, job)
  free_unique(id, job)
  call('ZADD', where, until_ms, id)
end
-- Takes a job from its worker, which has ended. `blamed`: the job has killed it. True if it is dead.
local function give_back(id, blamed, counted, allowed, keep, reason, report)
  local job = read(id)
  call('HDEL', RUN, id)
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
local function announce(channel, name) if channel ~= '' then redis.pcall('PUBLISH', channel, name) end end
)lua";

}  // namespace

Script make_job_script(std::string_view body) { return Script(std::string(kBase).append(body)); }

}  // namespace pronghorn::worker
