// Session ids: 43 characters of base64url.
//
// Without a user: 32 random bytes. With one: the tag of the user and 184 random bits; the last character tells the two
// apart. So a cookie tells in which slot of a Redis Cluster its session is, and which user's mark (session_store.h) must
// be read with it, before the session is known.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pronghorn::worker {

inline constexpr std::size_t kUserTagSize = 12;

// 72 bits of a digest of the user's name. Users whose tags are equal by chance would log each other out, nothing else.
[[nodiscard]] std::string user_tag(std::string_view user);

// A new random id of a session of the user with that tag; empty: without a user. Throws std::system_error if the kernel
// provides no random bytes.
[[nodiscard]] std::string new_session_id(std::string_view tag = {});

// Whether `text` has the form of an id. Other text is never sent to Redis.
[[nodiscard]] bool is_session_id(std::string_view text) noexcept;

// The tag in an id; empty if it is one without a user.
[[nodiscard]] std::string_view tag_of(std::string_view id) noexcept;

// Whether the keys of two sessions are in one slot of a Redis Cluster.
[[nodiscard]] bool in_one_slot(std::string_view one, std::string_view other) noexcept;

}  // namespace pronghorn::worker
