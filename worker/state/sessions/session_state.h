// The session as one request sees it: the fields that were read and the changes to them. No I/O: SessionStore loads and
// saves it.
#pragma once

#include <chrono>
#include <cstddef>
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

// The fields of a session that belong to the server begin with this; the application cannot use such names.
inline constexpr std::string_view kReservedPrefix = "_pronghorn.";
inline constexpr std::string_view kCookieSentField = "_pronghorn.sent";  // when the cookie was last sent: s since 1970
inline constexpr std::string_view kBornField = "_pronghorn.born";        // start or last login: ms since 1970
inline constexpr std::string_view kUserField = "_pronghorn.user";        // who has logged in
inline constexpr std::string_view kMarkField = "_pronghorn.mark";        // the user's mark at that time
inline constexpr std::string_view kFlashPrefix = "_pronghorn.flash.";    // then the name of the value
// Written by worker/middleware/csrf.cpp as an application would: an ordinary field.
inline constexpr std::string_view kCsrfField = "_pronghorn.csrf";
[[nodiscard]] inline bool is_reserved(std::string_view name) noexcept {
  return name.starts_with(kReservedPrefix) && name != kCsrfField;
}

// The value of a field in a reply to HGETALL; null if there is none. Throws RedisError if it is a reply to something
// else.
[[nodiscard]] const std::string* find_field(const Reply& fields, std::string_view name);
// The same as a number; 0 if there is none or it is not a number.
[[nodiscard]] std::int64_t number_in(const Reply& fields, std::string_view name);

// How large a session may become.
struct SessionSize {
  std::uint64_t bytes = 0;  // names and values
  std::uint64_t fields = 0;
};

// Context:   loop thread.
// Ownership: shared by the exchange and every copy of the application's Session.
class SessionState {
 public:
  // A field that this request has set (nullopt: erased).
  struct Change {
    std::optional<std::string> value;
    bool staged = false;  // not written to Redis yet
  };

  SessionState(worker::SessionStore& owner, SessionSize largest) noexcept : store(owner), largest_(largest) {}

  // `found` is the reply to HGETALL: names and values in turn. Throws RedisError if it is something else.
  void loaded(std::string session_id, Reply found);

  [[nodiscard]] std::optional<std::string> get(std::string_view name) const;
  // Throws std::invalid_argument for a reserved name, SessionTooLarge.
  void stage(std::string_view name, std::optional<std::string> value);
  void flash(std::string_view name, std::string_view value);
  [[nodiscard]] std::optional<std::string> flash(std::string_view name) const;
  void rotate();
  void login(std::string_view user);
  void destroy();
  // Records a value that Redis already has.
  void counted(std::string_view name, std::int64_t value);
  // Throws SessionTooLarge if a value of that size would make the session larger than allowed.
  void require_room(std::string_view name, std::size_t size) const;
  static void refuse_reserved(std::string_view name);

  [[nodiscard]] bool is_new() const noexcept { return id.empty(); }
  [[nodiscard]] const std::optional<std::string>& user() const noexcept { return user_; }
  [[nodiscard]] const Change* change(std::string_view name) const noexcept;
  [[nodiscard]] bool has_staged_values() const noexcept;
  [[nodiscard]] bool has_staged_changes() const noexcept;

  // For the SessionStore.
  worker::SessionStore& store;
  std::string id;  // empty: no session
  std::map<std::string, Change, std::less<>> changes;
  std::vector<std::string> doomed;  // ids to delete from Redis
  std::vector<std::string> sweeps;  // fields of flash values that this request could read: to delete
  std::int64_t cookie_sent = 0;
  std::int64_t born_ms = 0;                     // 0: unknown
  bool made_here = false;                       // this request created `id`: nobody else knows it
  bool stored = false;                          // Redis has the session
  bool cookie_added = false;                    // the response has its cookie
  bool rotating = false;                        // the session gets a new id
  bool logging_in = false;                      // and it belongs to user() from then on
  std::chrono::steady_clock::time_point begun;  // the request, or the last destroy_all() in it
  std::vector<std::string> rivals;              // ids of other sessions that the client's cookies name, all stored

 private:
  void loaded_reserved(const std::string& name, const std::string& value);
  [[nodiscard]] std::size_t size_of(std::string_view name) const;
  void put(std::string name, std::optional<std::string> value, bool staged);
  void doom_rivals();

  SessionSize largest_;
  SessionSize size_;  // of what the application has set, as this request sees it
  Reply fields_;      // as read from Redis; nil: nothing was read
  std::optional<std::string> user_;
};

}  // namespace pronghorn::detail

namespace pronghorn::worker {
using pronghorn::detail::find_field;
using pronghorn::detail::kBornField;
using pronghorn::detail::kCookieSentField;
using pronghorn::detail::kMarkField;
using pronghorn::detail::number_in;
using pronghorn::detail::SessionSize;
using pronghorn::detail::SessionState;  // the public headers name it
}  // namespace pronghorn::worker
