// The scripts that write sessions. Each only writes to a session that exists, or that the request creates.
#pragma once

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// KEYS: the session; its old key, if it gets a new id; the user's mark, if the user logs in. ARGV: time to live in ms; "1"
// to create the session; the time stamp of the cookie, "" if it is not sent; the number of fields to set; "1" with an old
// key; "1" with a mark; the start of the session, "" if it does not start; for how long what logs in has run, in
// microseconds; names and values of the fields to set; the names of fields to delete. Returns 1 if the session exists
// afterwards; 0 and changes nothing if all sessions of the user were ended while what logs in ran.
[[nodiscard]] const Script& session_write_script();

// KEYS: the user's mark. ARGV: a random text of hex digits; time to live in ms. The mark is that text and the time of
// Redis in microseconds.
[[nodiscard]] const Script& session_mark_script();

// KEYS: the session. ARGV: time to live in ms; "1" to create the session; the current time; field; amount; the staged
// change of the field: "" none, "-" erase it, "=" set it to the value that follows; the start of the session or "".
// Returns the new value as text, nil if there is no session.
[[nodiscard]] const Script& session_increment_script();

}  // namespace pronghorn::worker
