// The session as one request sees it: the fields that were read and the changes to them. No I/O: SessionStore loads and
// saves it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/redis.h"

namespace pronghorn::worker {
class SessionStore;
}

namespace pronghorn::detail {

// The one field of a session that belongs to the server: when its cookie was last sent, in seconds since 1970.
inline constexpr std::string_view kCookieSentField = "_pronghorn.sent";

// Context:   loop thread.
// Ownership: shared by the exchange and every copy of the application's Session.
class SessionState {
 public:
  // A field that this request has set (nullopt: erased).
  struct Change {
    std::optional<std::string> value;
    bool staged = false;  // not written to Redis yet
  };

  explicit SessionState(worker::SessionStore& owner) noexcept : store(owner) {}

  // `found` is the reply to HGETALL: names and values in turn. Throws RedisError if it is something else.
  void loaded(std::string session_id, Reply found);

  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  // Throws std::invalid_argument for the reserved name.
  void stage(std::string_view name, std::optional<std::string> value);
  void rotate();
  void destroy();
  // Records a value that Redis already has.
  void counted(std::string_view name, std::int64_t value);

  [[nodiscard]] bool is_new() const noexcept { return id.empty(); }
  [[nodiscard]] const Change* change(std::string_view name) const noexcept;
  [[nodiscard]] bool has_staged_values() const noexcept;
  [[nodiscard]] bool has_staged_changes() const noexcept;

  // For the SessionStore.
  worker::SessionStore& store;
  std::string id;  // empty: no session
  std::map<std::string, Change, std::less<>> changes;
  std::vector<std::string> doomed;  // ids to delete from Redis
  std::int64_t cookie_sent = 0;
  bool made_here = false;           // this request created `id`: nobody else knows it
  bool stored = false;              // Redis has the session
  bool cookie_added = false;        // the response has its cookie
  bool rotating = false;            // the session gets a new id
  std::vector<std::string> rivals;  // ids of other sessions that the client's cookies name, all stored

 private:
  [[nodiscard]] const std::string* read_value(std::string_view name) const noexcept;
  void doom_rivals();

  Reply fields_;  // as read from Redis; nil: nothing was read
};

}  // namespace pronghorn::detail

namespace pronghorn::worker {
using pronghorn::detail::kCookieSentField;
using pronghorn::detail::SessionState;  // the public headers name it
}  // namespace pronghorn::worker
