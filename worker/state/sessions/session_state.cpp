#include "worker/state/sessions/session_state.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace pronghorn::detail {

void SessionState::loaded(std::string session_id, Reply found) {
  for (const Reply& text : found.array()) (void)text.string();
  if (found.array().size() % 2 != 0) throw RedisError("Redis replied to HGETALL with a name without a value");
  fields_ = std::move(found);
  id = std::move(session_id);
  stored = true;
  if (const std::string* sent = read_value(kCookieSentField)) {
    std::from_chars(sent->data(), sent->data() + sent->size(),
                    cookie_sent);  // 0 if it is not a number: the cookie is sent again
  }
}

const std::string* SessionState::read_value(std::string_view name) const noexcept {
  if (!fields_.is_array()) return nullptr;
  const Reply::Array& fields = fields_.array();
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    if (fields[i].string() == name) return &fields[i + 1].string();
  }
  return nullptr;
}

const SessionState::Change* SessionState::change(std::string_view name) const noexcept {
  const auto found = changes.find(name);
  return found == changes.end() ? nullptr : &found->second;
}

std::optional<std::string> SessionState::get(std::string_view name) const {
  if (name == kCookieSentField) return std::nullopt;
  if (const Change* changed = change(name)) return changed->value;
  const std::string* value = read_value(name);
  return value != nullptr ? std::optional(*value) : std::nullopt;
}

void SessionState::stage(std::string_view name, std::optional<std::string> value) {
  if (name == kCookieSentField) throw std::invalid_argument("the session field " + std::string(name) + " is reserved");
  changes.insert_or_assign(std::string(name), Change{std::move(value), true});
}

void SessionState::counted(std::string_view name, std::int64_t value) {
  changes.insert_or_assign(std::string(name), Change{std::to_string(value), false});
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

void SessionState::destroy() {
  doom_rivals();
  if (!id.empty()) doomed.push_back(std::move(id));
  id.clear();
  fields_ = Reply();
  changes.clear();
  cookie_sent = 0;
  made_here = stored = rotating = false;
}

bool SessionState::has_staged_values() const noexcept {
  return std::any_of(changes.begin(), changes.end(),
                     [](const auto& entry) { return entry.second.staged && entry.second.value; });
}

bool SessionState::has_staged_changes() const noexcept {
  return std::any_of(changes.begin(), changes.end(), [](const auto& entry) { return entry.second.staged; });
}

}  // namespace pronghorn::detail
