// Sessions: data about a client that outlives a request. They are kept in Redis, so any worker on any machine can serve
// the client's next request.
//
// A session is the Redis hash NAME:s:{ID} (NAME: option `name`) with one hash field per session field. Sessions that
// are idle longer than the option `session_ttl` expire; a new session expires after `session_first_ttl` unless the
// client sends its cookie back. The time to live is renewed once a tenth of it has passed, not by every request.
//
// The id is 32 random bytes in base64url. It travels in a cookie (option `session_cookie`) that is HttpOnly,
// SameSite=Lax, and Secure if the client used https. While the session is in use, the cookie is sent again after half
// of its lifetime. If the client sends several cookies of that name, the first whose session exists counts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

namespace detail {
class SessionState;
}

// A handle to the session of one request, from `co_await request.session()`. Cheap to copy; must not outlive the
// request.
//
// The changes made by set, erase, rotate and destroy are written after the handler returns and before its response is
// sent, in one round trip. Only changed fields are written, so parallel requests of one client do not overwrite each
// other. If the handler throws, nothing is written. If Redis does not accept the changes, the client gets 503 in place
// of the response. While Redis refuses writes, sessions can still be read.
//
// The first write creates the session; a client that has none costs no round trip. If a parallel request has destroyed
// or rotated the session since it was read, the changes are discarded, as if they had been made just before that.
//
// Context: the worker's loop thread.
// Errors:  the field name "_pronghorn.sent" is reserved: set, erase and increment throw std::invalid_argument.
class PRONGHORN_API Session {
 public:
  explicit Session(std::shared_ptr<detail::SessionState> state) noexcept : state_(std::move(state)) {}

  // The value of a field as this request has read or changed it; nullopt if there is none.
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  void set(std::string_view name, std::string_view value);
  void erase(std::string_view name);

  // Adds `by` to an integer field (0 if absent) in Redis, immediately and atomically across all workers, and yields the
  // new value. Throws RedisError if the field is not an integer or would overflow, RedisUnavailable if Redis cannot
  // serve.
  [[nodiscard]] Task<std::int64_t> increment(std::string_view name, std::int64_t by = 1);

  // Gives the session a new id and invalidates the old one. Call it when a user logs in, to prevent session fixation.
  // Like destroy(), it also deletes other sessions that the client's cookies name.
  void rotate();
  // Deletes the session and its cookie. A later set() or increment() in this request creates a new session.
  void destroy();

  // True if the client has no session in Redis yet.
  [[nodiscard]] bool is_new() const noexcept;

 private:
  std::shared_ptr<detail::SessionState> state_;
};

}  // namespace pronghorn
