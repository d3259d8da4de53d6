// What the error replies of Redis mean.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// The code of an error, such as "READONLY": its first word, or, for a script that was aborted by an error, the code of
// that error. A script that runs a command without permission has the code NOPERM.
[[nodiscard]] std::string_view error_code(std::string_view error) noexcept;

// Whether the error says that Redis refuses a command because of its own state or our permissions, and not because of
// the command's arguments or the data: READONLY, OOM, MISCONF, NOREPLICAS, LOADING, NOPERM …
[[nodiscard]] bool is_refusal(std::string_view error) noexcept;
[[nodiscard]] inline bool is_refusal(const Reply& reply) noexcept {
  return reply.is_error() && is_refusal(reply.error());
}

// Whether a cluster sends the command elsewhere, or asks for it again: MOVED, ASK, TRYAGAIN.
[[nodiscard]] bool is_redirection(std::string_view error) noexcept;

// Whether the server is a replica: a new connection to the same address may reach the new primary.
[[nodiscard]] bool is_wrong_server(std::string_view error) noexcept;

// Names the keys of the command in an error that is about what one of them holds, because Redis does not say which:
// "WRONGTYPE Operation against … (key shop:a)", "ERR hash value is not an integer (key shop:a)".
void name_keys(Reply& reply, std::span<const std::string_view> keys);
inline void name_key(Reply& reply, std::string_view key) { name_keys(reply, std::span(&key, 1)); }
// The beginning of a key, which may hold any bytes, and any number of them.
[[nodiscard]] std::string shown_key(std::string_view key);

// For commands of the application. Throws if `reply` is an error: RedisUnavailable for a refusal, except that of
// permissions, else RedisError.
void require_success(const Reply& reply);

// The same, but a missing permission is a refusal like any other: RedisUnavailable.
void require_served(const Reply& reply);

}  // namespace pronghorn::worker
