// The Lua scripts of job queues. Each is atomic, and all their keys share a hash tag (queue_keys.h).
//
// Why lists, sorted sets and scripts, and not streams with consumer groups: a stream keeps its order, so priorities,
// delays and unique jobs need sorted sets and scripts beside it anyway; an acknowledgement (XACK) names the message but
// not who had it, so it cannot be fenced; and giving the jobs of a dead worker back in one step needs a script as well.
// With scripts, what happened to a job is one record, and settling, taking and promoting jobs is one round trip.
//
// A job's record is a table that only these scripts read: score (its place among the waiting), attempts, failures,
// kills, interruptions, at (enqueued), size (of the payload), due, unique, state, pids, reason, report, progress, settled
// (the tokens of the last 16 attempts that were settled; of older versions, one token). A token is OWNER/ATTEMPT: whoever
// has another token than the one in `run` cannot settle the job.
//
// Decoding tables would be most of what a job costs Redis, and most jobs need none. So a job that is neither unique nor
// delayed, with a payload of at most 4 KiB, begins with the short record "=AT SCORE", which does not change while its first
// attempt runs: `run` then holds "+OWNER/1 PID =AT SCORE" in place of the token. If that attempt is done, this text becomes
// the record. Whatever else happens to the job makes a table of it.
//
// `done` holds batches, the ids of jobs that ended in one turn with blanks between them; jobs that were dropped since are
// still named there.
#pragma once

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// id, payload, priority, delay in ms, unique, channel, name. Replies {id of the job that there is now, 1 if it was added,
// how many have been added ever}.
[[nodiscard]] const Script& enqueue_script();

// schedule, tick in seconds since 1970, then the arguments of enqueue_script(). Adds the job unless the tick of the
// schedule, or a later one, has been taken. Replies 1 if it added one, 0 if not, and -1 if the tick is more than an hour
// away by the clock of Redis. Such a tick does not count as taken either: no clock that is wrong can stop a schedule.
[[nodiscard]] const Script& tick_script();

// owner, pid, lease in ms, jobs wanted, bytes of payload wanted, keep in ms, jobs kept, keep_failed in ms, how many jobs
// are done at the first attempt and without a result; the ids of these, then for each other job to settle: id, attempt,
// outcome (done, retry, failed, back), text (the result or the reason), delay in ms.
// Replies {the places (1 is the first) of those that another worker has taken over, ids of jobs taken, their payloads,
//          {place among the taken, attempt, failures} for each whose attempt is not the first, waiting, ms until the next
//          delayed job or -1, the places of those that are not in Redis any more}. A job that this owner has settled before
// counts as settled; a payload may be nil.
[[nodiscard]] const Script& turn_script();

// owner, lease in ms, interruptions allowed, keep_failed in ms, ms without a call of this script after which Redis counts
// as having been away, then the tokens "id/attempt" that the owner knows. Renews the lease; gives back jobs that the owner
// has without knowing it, because a reply was lost, and those of owners whose lease has expired. When Redis was away,
// nobody could renew a lease: all are renewed. Replies {waiting, running, failed, dead, owner, ms left, owner, ms left …},
// with what was left before.
[[nodiscard]] const Script& sync_script();

// owner, blamed id, interruptions allowed, keep_failed in ms, reason, report, counts (1: the end was not orderly),
// channel, name. Gives the jobs of an owner that has ended back. Replies {how many, id of a dead job …}.
[[nodiscard]] const Script& take_over_script();

// id, attempt, owner, fraction.
[[nodiscard]] const Script& progress_script();

// id. Replies nil, or {state, attempts, failures, kills, at, due, progress, reason, report, pids with blanks, result}.
[[nodiscard]] const Script& find_script();

// id. Replies with the payload, or nil.
[[nodiscard]] const Script& payload_script();

// id. Reply 1, or 0 if the job is in no state for it.
[[nodiscard]] const Script& retry_script();
[[nodiscard]] const Script& drop_script();

// Replies {waiting, running, done, failed, dead}.
[[nodiscard]] const Script& counts_script();

// state, how many. Replies with ids; the next to be run first, or the last to have ended first.
[[nodiscard]] const Script& list_script();

}  // namespace pronghorn::worker
