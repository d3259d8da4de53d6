// Loads the session of a request from Redis, and saves its changes.
//
// A session is one hash, NAME:s:{ID}: NAME is the option `name`, ID the value of the cookie. Its time to live is
// session_first_ttl until the client has sent the cookie back once, then session_ttl, renewed when a tenth of it has
// passed.
//
// Changes are written by a script that only writes to an existing hash, so a late parallel request cannot bring back a
// session that was destroyed, was rotated or has expired. Its changes are discarded.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "worker/exchange/exchange.h"
#include "worker/state/sessions/session_state.h"

namespace pronghorn::worker {

class RedisClient;

// Context: loop thread; one per worker. Must outlive every exchange.
// Errors:  RedisUnavailable if Redis cannot serve, RedisError for other error replies.
class SessionStore {
 public:
  // `client` is null with --redis none.
  SessionStore(RedisClient* client, const Config& config);
  SessionStore(const SessionStore&) = delete;
  SessionStore& operator=(const SessionStore&) = delete;

  // Implements Request::session(): the session named by the request's cookie, or a new empty one that is not stored yet.
  // If there are several cookies of that name, the first whose session exists counts. One round trip, two if the time to
  // live is renewed, none without a cookie that has the form of an id. If Redis refuses writes, the session is still
  // read. Throws HttpError 503 with --redis none.
  [[nodiscard]] Task<std::shared_ptr<SessionState>> load(Exchange& exchange);

  // Writes the changes of the request, and adds Set-Cookie to the response if the id is new or deleted, or if the cookie
  // was last sent more than half of session_ttl ago. Await it after the handler has returned and before the response is
  // sent, not if the handler threw; a second time, for what has changed since. No round trip if there is nothing to
  // write.
  [[nodiscard]] Task<void> commit(Exchange& exchange, Response& response);

  // Implements Session::increment().
  [[nodiscard]] Task<std::int64_t> increment(std::shared_ptr<SessionState> state, std::string name, std::int64_t by);

 private:
  struct Saved {
    std::optional<std::string> cookie;  // its new value; empty text: delete the cookie
    std::chrono::seconds max_age{};
  };
  // Whether commit() has anything to write.
  [[nodiscard]] bool has_changes(const Exchange& exchange) const;
  [[nodiscard]] Task<Saved> save(std::shared_ptr<SessionState> state);
  [[nodiscard]] std::vector<std::string> candidates(const Exchange& exchange) const;
  [[nodiscard]] std::string key_of(std::string_view id) const;
  [[nodiscard]] const std::string& ttl_text(const SessionState& state) const noexcept;
  [[nodiscard]] bool cookie_is_old(const SessionState& state) const;
  Task<void> renew(std::string_view id, std::int64_t left_ms);
  Task<void> remove_doomed(SessionState& state);
  Task<bool> write(SessionState& state);
  void add_cookie(Exchange& exchange, Response& response, std::string_view value, std::chrono::seconds max_age) const;
  [[noreturn]] void refuse_without_redis();
  void require_permitted(const Reply& reply);

  RedisClient* client_;
  std::string prefix_;
  std::string cookie_name_;
  std::chrono::milliseconds ttl_;
  std::string ttl_text_;
  std::string first_ttl_text_;
  bool told_missing_ = false;
  bool told_forbidden_ = false;
};

}  // namespace pronghorn::worker
