#include "worker/state/sessions/session_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "pronghorn/session.h"

namespace pronghorn::detail {
namespace {

constexpr std::size_t kLongestUser = 1024;

std::string flash_field(std::string_view name) { return std::string(kFlashPrefix).append(name); }

// 0 if it is not a number.
std::int64_t number_of(std::string_view text) noexcept {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

const std::string* find_field(const Reply& fields, std::string_view name) {
  if (!fields.is_array()) return nullptr;
  const Reply::Array& values = fields.array();
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    if (values[i].string() == name) return &values[i + 1].string();
  }
  return nullptr;
}

std::int64_t number_in(const Reply& fields, std::string_view name) {
  const std::string* text = find_field(fields, name);
  return text != nullptr ? number_of(*text) : 0;
}

void SessionState::loaded(std::string session_id, Reply found) {
  for (const Reply& text : found.array()) (void)text.string();
  if (found.array().size() % 2 != 0) throw RedisError("Redis replied to HGETALL with a name without a value");
  fields_ = std::move(found);
  id = std::move(session_id);
  stored = true;
  const Reply::Array& values = fields_.array();
  for (std::size_t i = 0; i < values.size(); i += 2) {
    const std::string& name = values[i].string();
    const std::string& value = values[i + 1].string();
    if (is_reserved(name)) {
      loaded_reserved(name, value);
    } else {
      size_.bytes += name.size() + value.size();
      ++size_.fields;
    }
  }
}

void SessionState::loaded_reserved(const std::string& name, const std::string& value) {
  if (name == kCookieSentField) {
    cookie_sent = number_of(value);  // 0 if it is not a number: the cookie is sent again
  } else if (name == kBornField) {
    born_ms = number_of(value);
  } else if (name == kUserField) {
    user_ = value;
  } else if (name.starts_with(kFlashPrefix)) {
    sweeps.push_back(name);
  }
}

const SessionState::Change* SessionState::change(std::string_view name) const noexcept {
  const auto found = changes.find(name);
  return found == changes.end() ? nullptr : &found->second;
}

std::optional<std::string> SessionState::get(std::string_view name) const {
  if (is_reserved(name)) return std::nullopt;
  if (const Change* changed = change(name)) return changed->value;
  const std::string* value = find_field(fields_, name);
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

void SessionState::refuse_reserved(std::string_view name) {
  if (!is_reserved(name)) return;
  throw std::invalid_argument("the session field " + std::string(name) + " is reserved, as are all that begin with " +
                              std::string(kReservedPrefix));
}

// What a field takes of the allowed size; 0 if it is not there. Values that the server deletes do not count.
std::size_t SessionState::size_of(std::string_view name) const {
  const Change* changed = change(name);
  if (changed != nullptr) return changed->value ? name.size() + changed->value->size() : 0;
  if (is_reserved(name)) return 0;
  const std::string* value = find_field(fields_, name);
  return value != nullptr ? name.size() + value->size() : 0;
}

void SessionState::require_room(std::string_view name, std::size_t size) const {
  const std::size_t before = size_of(name);
  const std::uint64_t bytes = size_.bytes - before + name.size() + size;
  const std::uint64_t fields = size_.fields + (before == 0 ? 1 : 0);
  if (bytes > largest_.bytes && bytes > size_.bytes) {
    throw SessionTooLarge(
        fmt::format("the session would have {} bytes, and session_max_bytes is {}; keep large data under a key of its "
                    "own",
                    bytes, largest_.bytes));
  }
  if (fields > largest_.fields && before == 0) {
    throw SessionTooLarge(
        fmt::format("the session would have {} fields, and session_max_fields is {}", fields, largest_.fields));
  }
}

void SessionState::put(std::string name, std::optional<std::string> value, bool staged) {
  const std::size_t before = size_of(name);
  const std::size_t after = value ? name.size() + value->size() : 0;
  size_.bytes = size_.bytes - before + after;
  size_.fields = size_.fields - (before > 0 ? 1 : 0) + (after > 0 ? 1 : 0);
  changes.insert_or_assign(std::move(name), Change{std::move(value), staged});
}

void SessionState::stage(std::string_view name, std::optional<std::string> value) {
  refuse_reserved(name);
  if (value) require_room(name, value->size());
  put(std::string(name), std::move(value), true);
}

void SessionState::flash(std::string_view name, std::string_view value) {
  std::string field = flash_field(name);
  require_room(field, value.size());
  std::erase(sweeps, field);
  put(std::move(field), std::string(value), true);
}

std::optional<std::string> SessionState::flash(std::string_view name) const {
  const std::string* value = find_field(fields_, flash_field(name));
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

void SessionState::counted(std::string_view name, std::int64_t value) {
  put(std::string(name), std::to_string(value), false);
}

// Cookies of one name may be set for several paths, also by a neighbouring site. After a login or logout no other
// session of the client may become active.
void SessionState::doom_rivals() {
  doomed.insert(doomed.end(), std::make_move_iterator(rivals.begin()), std::make_move_iterator(rivals.end()));
  rivals.clear();
}

void SessionState::rotate() {
  doom_rivals();
  rotating = stored && !made_here;
}

// The session must get the user's id even if this request has created it. Its CSRF token goes, because whoever gave the
// session to the client knows it; a user who confirms his login keeps his open forms.
void SessionState::login(std::string_view user) {
  if (user.empty() || user.size() > kLongestUser) {
    throw std::invalid_argument(
        fmt::format("a session's user must have 1 to {} bytes, not {}", kLongestUser, user.size()));
  }
  require_room(kUserField, user.size());
  if (user_ != user && get(kCsrfField)) stage(kCsrfField, std::nullopt);
  rotate();
  rotating = !id.empty();
  logging_in = true;
  user_ = user;
  put(std::string(kUserField), *user_, true);
}

void SessionState::destroy() {
  doom_rivals();
  if (!id.empty()) doomed.push_back(std::move(id));
  id.clear();
  fields_ = Reply();
  changes.clear();
  sweeps.clear();
  size_ = {};
  user_.reset();
  cookie_sent = born_ms = 0;
  made_here = stored = rotating = logging_in = false;
}

bool SessionState::has_staged_values() const noexcept {
  return std::any_of(changes.begin(), changes.end(),
                     [](const auto& entry) { return entry.second.staged && entry.second.value; });
}

bool SessionState::has_staged_changes() const noexcept {
  return std::any_of(changes.begin(), changes.end(), [](const auto& entry) { return entry.second.staged; });
}

}  // namespace pronghorn::detail
