// What one request knows of its session: what was read, and what it wants to change. Without I/O; session_store.h moves
// it.
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

// The one field of a session that is not the application's: when its cookie was sent last, in seconds since 1970.
inline constexpr std::string_view kCookieSentField = "_pronghorn.sent";

// Context: loop thread. Owned by the exchange and by every copy of the application's Session.
class SessionState {
 public:
  // A field that this request has given a value (nullopt: removed).
  struct Change {
    std::optional<std::string> value;
    bool staged = false;  // not in Redis yet
  };

  explicit SessionState(SessionStore& owner) noexcept : store(owner) {}

  // `found` is the reply to HGETALL: names and values in turn. RedisError when it is something else.
  void loaded(std::string session_id, Reply found);

  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  // std::invalid_argument for the reserved name.
  void stage(std::string_view name, std::optional<std::string> value);
  void rotate() noexcept;
  void destroy();
  // A counter has this value, in Redis already.
  void counted(std::string_view name, std::int64_t value);

  [[nodiscard]] bool is_new() const noexcept { return id.empty(); }
  [[nodiscard]] const Change* change(std::string_view name) const noexcept;
  [[nodiscard]] bool has_staged_values() const noexcept;
  [[nodiscard]] bool has_staged_changes() const noexcept;

  // For the SessionStore.
  SessionStore& store;
  std::string id;  // empty: there is no session
  std::map<std::string, Change, std::less<>> changes;
  std::vector<std::string> doomed;  // ids to remove
  std::int64_t cookie_sent = 0;
  bool made_here = false;  // `id` was made by this request: nobody else knows it
  bool stored = false;     // and Redis has it
  bool rotating = false;   // give what `id` names a new one

 private:
  [[nodiscard]] const std::string* read_value(std::string_view name) const noexcept;

  Reply fields_;  // as it was read; nil: nothing was
};

}  // namespace pronghorn::worker
