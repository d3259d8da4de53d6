// Sessions between Redis and one request.
//
// In Redis a session is one hash, NAME:s:{ID}: NAME is the option `name`, ID what the cookie holds. The braces are
// Redis Cluster's hash tag: everything that ever belongs to one session shares a slot, and sessions spread over all
// slots. The price is that a new id lives in another slot than the old one, so rotate() cannot RENAME: one script takes
// the old hash (reads and removes it), a second round trip writes the new one. When Redis fails in between, the session
// is gone and the client gets a 503: a user logs in once more, but no old id ever stays valid.
//
// Changes go through a script that writes only to a hash which is still there: a parallel request that comes late
// cannot bring back a session that was destroyed, rotated or has expired. What it wanted to write is dropped, as if it
// had come just before the end of the session.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/config/config.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "worker/http/exchange.h"
#include "worker/state/sessions/session_state.h"

namespace pronghorn::worker {

class RedisClient;

// Context: loop thread; one per worker, outlives every exchange.
// Errors:  RedisUnavailable when Redis is away, RedisError when it answers with an error.
class SessionStore {
 public:
  // `client` is null with --redis none.
  SessionStore(RedisClient* client, const Config& config);
  SessionStore(const SessionStore&) = delete;
  SessionStore& operator=(const SessionStore&) = delete;

  // What Request::session() does: the session that the request's cookie names, or a new empty one that is not stored
  // yet. One round trip, which also prolongs its life; none without a cookie that could be an id. HttpError 503 with
  // --redis none.
  [[nodiscard]] Task<std::shared_ptr<SessionState>> load(Exchange& exchange);

  // Writes what the handler has changed and adds Set-Cookie to the response when the id is new, was removed, or was
  // sent longer ago than half of session_ttl. Await it when the handler has returned, before the response is sent; not
  // when it threw. No round trip when nothing was changed.
  [[nodiscard]] Task<void> commit(Exchange& exchange, Response& response);

  // What Session::increment() does.
  [[nodiscard]] Task<std::int64_t> increment(std::shared_ptr<SessionState> state, std::string name, std::int64_t by);

 private:
  struct Saved {
    std::optional<std::string> cookie;  // its new value; empty: the session has ended
    std::chrono::seconds max_age{};
  };
  // False for every request that did not touch its session.
  [[nodiscard]] bool has_changes(const Exchange& exchange) const;
  [[nodiscard]] Task<Saved> save(std::shared_ptr<SessionState> state);
  [[nodiscard]] std::string key_of(std::string_view id) const;
  [[nodiscard]] bool cookie_is_old(const SessionState& state) const;
  Task<void> remove_doomed(SessionState& state);
  Task<void> give_new_id(SessionState& state);
  Task<bool> write(SessionState& state);
  void add_cookie(Exchange& exchange, Response& response, std::string_view value, std::chrono::seconds max_age) const;
  [[noreturn]] void refuse_without_redis();

  RedisClient* client_;
  std::string prefix_;
  std::string cookie_name_;
  std::chrono::milliseconds ttl_;
  std::string ttl_text_;
  bool told_missing_ = false;
};

}  // namespace pronghorn::worker
