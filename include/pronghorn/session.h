// Sessions: data about a client that outlives a request. They are kept in Redis, so any worker on any machine can serve
// the client's next request.
//
// A session is the Redis hash NAME:s:{ID} (NAME: option `name`), or NAME:s:{USER}:ID once a user has logged in, with
// one hash field per session field. Sessions that are idle longer than the option `session_ttl` expire; a new session
// expires after `session_first_ttl` unless the client sends its cookie back. The time to live is renewed once a tenth
// of it has passed, not by every request. With `session_lifetime`, a session also expires that long after its start or
// last login.
//
// The id is 43 random characters of base64url; once a user has logged in, the first 12 are a digest of the user. It
// travels in a cookie (option `session_cookie`) that is HttpOnly, and Secure if the client used https, if
// `session_same_site` is none, or if its name begins with __Host- or __Secure-. While the session is in use, the cookie
// is sent again after half of its lifetime. If the client sends several cookies of that name, the first whose session
// exists counts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

namespace detail {
class SessionState;
}

class Worker;

// A change would make the session larger than the options session_max_bytes or session_max_fields allow. Every request
// reads the whole session: keep large data under a key of its own, and its name in the session.
class PRONGHORN_API SessionTooLarge : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

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
// Errors:  field names that begin with "_pronghorn." are reserved: set, erase and increment throw
//          std::invalid_argument.
//          set, flash, login and increment throw SessionTooLarge. The size is that of the session as this request has
//          read and changed it, so parallel requests can exceed it by what each of them adds.
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

  // Sets a value for the next request that loads the session, which reads it with flash(name): a message after a
  // redirect, for example. It is deleted when that request ends without an exception, read or not.
  void flash(std::string_view name, std::string_view value);
  // What the request before has set; nullopt if it set none.
  [[nodiscard]] std::optional<std::string> flash(std::string_view name) const;

  // Gives the session a new id and invalidates the old one. Call it when a user logs in, to prevent session fixation.
  // Like destroy(), it also deletes other sessions that the client's cookies name.
  void rotate();
  // Records that `user` has logged in: rotate(), and from now on the session is one of the user's sessions, which
  // destroy_all() ends. It keeps its other fields, but not its CSRF token if somebody else had it. Throws
  // std::invalid_argument if `user` is empty or longer than 1024 bytes; it may hold any bytes.
  void login(std::string_view user);
  // Who has logged in; nullopt if nobody has.
  [[nodiscard]] std::optional<std::string> user() const;
  // Deletes the session and its cookie. A later set() or increment() in this request creates a new session.
  void destroy();
  // Logs the user out everywhere: ends all sessions of the user, on all clients, and then acts as destroy(). When it
  // returns, no request that begins to load one of them finds it. A later login() in this request begins a session that
  // stays, so that a new password can end all sessions but this one. Without a user it is destroy(). Throws
  // RedisUnavailable if Redis cannot serve; then nothing has ended, unless the reply was lost.
  [[nodiscard]] Task<void> destroy_all();

  // True if the client has no session in Redis yet.
  [[nodiscard]] bool is_new() const noexcept;

 private:
  std::shared_ptr<detail::SessionState> state_;
};

// Ends all sessions of a user, as Session::destroy_all() does, for code that has no session of the user: an
// administrator's handler, a hook or a job. `worker` must outlive the task.
[[nodiscard]] PRONGHORN_API Task<void> end_sessions(Worker& worker, std::string user);

}  // namespace pronghorn
