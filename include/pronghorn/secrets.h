// Helpers for secrets: password hashes, random tokens, HMAC, comparison in constant time.
//
// Context: any thread, except the functions that return a Task: the worker's loop thread.
// Errors:  std::runtime_error if OpenSSL or the kernel cannot provide what is asked for; nothing is ever computed with
//          a weaker substitute.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

// The largest password in bytes. A client's text may be longer; see the functions.
inline constexpr std::size_t kMaxPassword = 1024;

// The hash of a password for storage, as a PHC string: "$scrypt$ln=15,r=8,p=3$SALT$HASH", about 90 characters. The salt
// is random, so two hashes of one password differ. The work (about 100 ms of one core and 32 MiB of memory) is done on
// the offload pool (option offload_threads), so it never blocks the loop, and at most that many hashes are computed at
// a time. Throws HttpError 400 for a password above kMaxPassword.
[[nodiscard]] PRONGHORN_API Task<std::string> hash_password(std::string password);

// Whether `password` is the one that `hash` was made of. Also reads hashes of other programs that are PHC strings of
// scrypt, such as passlib's. Compares in constant time; runs on the offload pool.
//
// False, after as much work as for a hash of hash_password(), if `hash` is empty: pass "" for a user that does not
// exist, so that the time of the answer does not tell who exists. False without any work for a text that is not a hash
// of this form, for a hash whose parameters need more than 128 MiB of memory or more than 16 times the work of
// hash_password(), and for a password above kMaxPassword.
[[nodiscard]] PRONGHORN_API Task<bool> verify_password(std::string password, std::string hash);

// Whether `hash` was made with other parameters than hash_password() uses now, or is not a hash: after a successful
// login, replace it by a new hash of the password.
[[nodiscard]] PRONGHORN_API bool needs_rehash(std::string_view hash) noexcept;

// Whether the two are equal, in time that depends on their lengths only: for whatever an attacker may guess piece by
// piece, such as a MAC or an API key.
[[nodiscard]] PRONGHORN_API bool constant_time_equal(std::string_view a, std::string_view b) noexcept;

// HMAC with SHA-256 (RFC 2104): 32 bytes, not text. Compare it with constant_time_equal().
[[nodiscard]] PRONGHORN_API std::string hmac_sha256(std::string_view key, std::string_view message);

// `bytes` bytes from the kernel's random generator (getrandom).
[[nodiscard]] PRONGHORN_API std::string random_bytes(std::size_t bytes);
// The same as text that may stand in a URL, a cookie or a header field: 43 characters for 32 bytes, which nobody
// guesses.
[[nodiscard]] PRONGHORN_API std::string random_token(std::size_t bytes = 32);

// base64url without padding (RFC 4648 section 5).
[[nodiscard]] PRONGHORN_API std::string to_base64url(std::string_view bytes);

}  // namespace pronghorn
