// Parts of keys in Redis.
#pragma once

#include <string>
#include <string_view>

namespace pronghorn::worker {

// `text` with every byte that is not a letter, a digit or one of "-_.~/:@" as %XX: it can neither hold a hash tag of
// Redis Cluster nor anything that a person cannot read.
[[nodiscard]] std::string escape_key(std::string_view text);

// What every key of the application begins with: the option `name`, escaped.
[[nodiscard]] inline std::string key_prefix(std::string_view name) { return escape_key(name); }

// The same for text of any length from a client: when it is longer than 64 bytes or would need escaping, '#' and 32 hex
// digits of its SHA-256.
[[nodiscard]] std::string bounded_key(std::string_view text);

}  // namespace pronghorn::worker
