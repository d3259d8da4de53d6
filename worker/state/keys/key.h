// Parts of keys in Redis.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// `text` with every byte other than letters, digits and "-_.~/:@" as %XX, so that it is readable and cannot contain a
// hash tag of Redis Cluster.
[[nodiscard]] std::string escape_key(std::string_view text);

// The prefix of every key of the application: the option `name`, escaped.
[[nodiscard]] inline std::string key_prefix(std::string_view name) { return escape_key(name); }

// `text`, which may come from a client and have any length. If it exceeds 64 bytes or would need escaping, '#' and 32
// hex digits of its SHA-256 instead.
[[nodiscard]] std::string bounded_key(std::string_view text);

}  // namespace pronghorn::worker
