// Sessions: what a client is remembered by, in Redis, so that any worker on any machine can answer its next request.
//
// In Redis a session is the hash NAME:s:{ID} (NAME: option `name`), one field per key, with a sliding time to live
// (option session_ttl). The id is 32 random bytes in base64url, sent in a cookie (option session_cookie) that is
// HttpOnly, SameSite=Lax, and Secure when the client used https. The cookie lives as long as the session: while that is
// in use, it is sent again when half of its life has passed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

namespace worker {
class SessionState;
}

// A handle on the session of one request: get it with `co_await request.session()`, copy it freely, drop it with the
// request. Changes by set, erase, rotate and destroy are written in one round trip after the handler has returned and
// before its response is sent; only the fields that were changed are written, so parallel requests of one client do not
// overwrite each other. A handler that throws writes nothing. When Redis cannot take the changes, the client gets a
// 503, never a response that claims otherwise.
//
// A client without a session costs nothing: it is created by the first write. When a session that was read has ended
// meanwhile (a parallel request destroyed or rotated it), changes to it are dropped, as if they had come just before.
//
// The field name "_pronghorn.sent" is the server's: std::invalid_argument.
class PRONGHORN_API Session {
 public:
  explicit Session(std::shared_ptr<worker::SessionState> state) noexcept : state_(std::move(state)) {}

  // The value as it was read, or as set in this request.
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;
  void set(std::string_view name, std::string_view value);
  void erase(std::string_view name);

  // Adds `by` to a whole number (absent counts as 0) in Redis at once, atomically across all workers, and yields the
  // new value. RedisError when the field holds something else.
  [[nodiscard]] Task<std::int64_t> increment(std::string_view name, std::int64_t by = 1);

  // Gives the session a new id and makes the old one worthless; call it when a user logs in, against fixation.
  void rotate();
  // Removes the session and its cookie. Later calls in this request begin a new one.
  void destroy();

  // Whether the client has no stored session yet.
  [[nodiscard]] bool is_new() const noexcept;

 private:
  std::shared_ptr<worker::SessionState> state_;
};

}  // namespace pronghorn
