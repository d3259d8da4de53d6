// The scripts of refresh tokens. Each is atomic; times are those of Redis' clock.
//
// A family is a hash: `current`, the digest of the one refresh token that is valid; `sub`, `scope` and `claims` of its
// access tokens; `until`, the end of the family in ms.
#pragma once

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// KEYS: the family. ARGV: digest of its first refresh token; sub; scope; claims; time to live in ms; ms until its end.
[[nodiscard]] const Script& begin_family_script();

// KEYS: the family; the mark that it is revoked. ARGV: digest of the presented token; digest of the next one; time to
// live in ms; time to live of the mark in ms. Returns {"rotated", sub, scope, claims}; {"unknown"} if there is no such
// family; {"reused", sub} if the presented token is not the current one, which ends the family.
[[nodiscard]] const Script& rotate_script();

// KEYS: the family; the mark. ARGV: time to live of the mark in ms. Ends the family.
[[nodiscard]] const Script& end_family_script();

}  // namespace pronghorn::worker
