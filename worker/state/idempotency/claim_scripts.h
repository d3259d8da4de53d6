// The scripts that decide on a claim. Each is atomic, on the one key of the claim; times are those of Redis' clock.
//
// The key is a hash: `print`, the fingerprint of the request; while it runs, `claim`, the name of the claim, and
// `until`, the end of its lease in ms; once it has finished, `status`, `type`, `fields` and `body`.
#pragma once

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// ARGV: fingerprint; claim; lease in ms; time to live of the key in ms; a claim to replace, or "". Takes the key if it
// is free, or if its claim is the one to replace. Returns {"taken"}; {"other"} if the fingerprint differs; {"running",
// claim, ms until its lease ends}; {"finished", status, type, fields, body}.
[[nodiscard]] const Script& take_script();

// ARGV: claim; lease in ms; time to live in ms. Extends the lease if the claim still has the key.
[[nodiscard]] const Script& renew_script();

// ARGV: claim; time to live in ms; status; type; fields; body. Ends the claim with a response. Returns 1, or 0 if the
// claim no longer has the key.
[[nodiscard]] const Script& finish_script();

// ARGV: claim. Frees the key if the claim still has it.
[[nodiscard]] const Script& give_up_script();

}  // namespace pronghorn::worker
