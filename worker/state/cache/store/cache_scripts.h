// The scripts of the cache. Each is atomic, on keys of one hash tag; times are those of Redis' clock.
//
// KEYS[1] is the entry, a string (entry.h). KEYS[2] is its lock, a string: the name of the claim of the fill or write
// that runs. The lock lives for the claim's lease and `patience` longer (fill_claim.h). A key of another type counts as
// missing and is overwritten.
#pragma once

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// ARGV: claim; life of the lock in ms; the prefix of the entry that is of no use, or ""; a claim to replace, or "".
// Returns {"entry", entry, ms to live} if there is another entry by now; {"held", claim, ms to live of the lock} if the
// lock has another claim than the one to replace; else takes the lock: {"taken"}.
[[nodiscard]] const Script& take_lock_script();

// KEYS: lock. ARGV: claim; life of the lock in ms. Extends the lock if the claim has it.
[[nodiscard]] const Script& renew_lock_script();

// ARGV: claim; entry; its life in ms. Stores the entry and frees the lock if the claim has it. Returns 1, else 0.
[[nodiscard]] const Script& store_entry_script();

// KEYS: lock. ARGV: claim. Frees the lock if the claim has it.
[[nodiscard]] const Script& free_lock_script();

// ARGV: claim; life of the lock in ms. Removes the entry, and takes the lock from whoever has it.
[[nodiscard]] const Script& begin_write_script();

// ARGV: claim; entry, or ""; its life in ms. Like store_entry_script() if the claim has the lock. If not, or without an
// entry, removes both: another write ran at the same time. Returns 1 if the entry was stored.
[[nodiscard]] const Script& end_write_script();

// ARGV: entry; its life in ms. Stores the entry, whoever has the lock, and removes the lock.
[[nodiscard]] const Script& put_entry_script();

// ARGV: the id of an entry. Removes entry and lock unless the entry has this id.
[[nodiscard]] const Script& keep_only_script();

// KEYS: the version of a tag. ARGV: a new version; life in ms. Yields the version of the tag, which is the new one if
// it has none; it lives for at least that long.
[[nodiscard]] const Script& tag_version_script();

// KEYS: the version of a tag. ARGV: a version; life in ms; another time. If the tag still has it, and it would expire
// within the other time, it lives for at least as long as `life`.
[[nodiscard]] const Script& keep_version_script();

}  // namespace pronghorn::worker
