// Loads the session of a request from Redis, and saves its changes.
//
// A session is one hash: NAME is the option `name`, ID the value of the cookie; NAME:s:{ID} without a user, and
// NAME:s:{TAG}:ID with one, where TAG is that of the user (session_id.h). Its time to live is session_first_ttl until the
// client has sent the cookie back once, then session_ttl, renewed when a tenth of it has passed; never more than what is
// left of session_lifetime.
//
// To end all sessions of a user, NAME:u:{TAG}, the mark of the user, gets a new random value. A session remembers the mark
// at its login, and has ended if the user has another one by now. The two are read together, in the round trip that loads
// the session, and are in one slot of a Redis Cluster. A user without a mark, as most are, costs Redis nothing. (The
// alternative, an index of each user's sessions, would have to be kept right by every login, rotation and expiry, and a
// session that is rotated while the index is read would survive.)
//
// Changes are written by a script that only writes to an existing hash, so a late parallel request cannot bring back a
// session that was destroyed, was rotated or has expired. Its changes are discarded.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "worker/exchange/exchange.h"
#include "worker/state/sessions/session_cookie.h"
#include "worker/state/sessions/session_state.h"

namespace pronghorn::worker {

class RedisClient;
struct SessionReading;

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

  // Sends the commands of load() now, beside those of the route's limits, so that both take one round trip. Only if the
  // requests of this route load their sessions, as far as the last ones tell: one that is refused, or does without, turns
  // that off until the next load(). Call it before the limits are checked.
  void begin_load(Exchange& exchange);

  // Writes the changes of the request, and adds Set-Cookie to the response if the id is new or deleted, or if the cookie
  // was last sent more than half of session_ttl ago. Await it after the handler has returned and before the response is
  // sent, not if the handler threw; a second time, for what has changed since. No round trip if there is nothing to
  // write.
  [[nodiscard]] Task<void> commit(Exchange& exchange, Response& response);
  // Whether commit() has anything to do. Most requests only read their session, or count in it.
  [[nodiscard]] bool must_commit(const Exchange& exchange) const;

  // Implements Session::increment().
  [[nodiscard]] Task<std::int64_t> increment(std::shared_ptr<SessionState> state, std::string name, std::int64_t by);

  // Implements end_sessions(). One round trip.
  [[nodiscard]] Task<void> end_all(std::string user);

 private:
  struct Saved {
    std::optional<std::string> cookie;  // its new value; empty text: delete the cookie
    std::chrono::seconds max_age{};
  };
  [[nodiscard]] Task<Saved> save(std::shared_ptr<SessionState> state);
  [[nodiscard]] std::string key_of(std::string_view id) const;
  [[nodiscard]] std::string mark_key(std::string_view tag) const;
  [[nodiscard]] std::chrono::milliseconds ttl_of(const SessionState& state) const;
  [[nodiscard]] std::chrono::seconds cookie_life(const SessionState& state) const;
  [[nodiscard]] bool has_ended(const Reply& fields, const Reply* mark) const;
  [[nodiscard]] bool cookie_is_old(const SessionState& state) const;
  [[nodiscard]] bool starts_late(const SessionState& state) const noexcept;
  [[nodiscard]] bool needs_renewal(const SessionState& state, std::int64_t left_ms) const;
  Task<void> renew(SessionState& state);
  Task<void> remove_doomed(SessionState& state);
  Task<bool> write(SessionState& state);
  [[noreturn]] void refuse_without_redis();
  void name_session(Reply& reply, std::string_view id) const;
  void name_mark(Reply& reply, std::string_view tag) const;
  void read(SessionReading& reading) const;
  [[nodiscard]] bool& loads_of(const Exchange& exchange) noexcept;

  RedisClient* client_;
  std::string prefix_;
  bool one_slot_;  // keys of one script must be in one slot
  SessionCookie cookie_;
  std::chrono::milliseconds ttl_;
  std::chrono::milliseconds first_ttl_;
  std::chrono::milliseconds lifetime_;  // 0: no limit
  SessionSize largest_;
  std::array<bool, kMaxRoutes + 1> loads_{};  // whether requests of the route load their sessions; see begin_load()
  bool told_missing_ = false;
};

}  // namespace pronghorn::worker
