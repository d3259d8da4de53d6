#include "worker/state/sessions/session_store.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/config/redis_url.h"
#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/error.h"
#include "worker/crypto/random_hex.h"
#include "worker/exchange/running.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"
#include "worker/state/sessions/session_id.h"
#include "worker/state/sessions/session_reading.h"
#include "worker/state/sessions/session_scripts.h"
#include "worker/state/sessions/session_write.h"

namespace pronghorn::worker {
namespace {

// A cookie that was stamped further in the future than clocks of machines differ is sent again.
constexpr std::chrono::seconds kClockSkew{60};
constexpr std::size_t kShownOfId = 8;  // characters, of 43

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}
std::int64_t now_s() { return now_ms() / 1000; }

// Attached to a request that has ended all sessions of a user: a login() after that counts from then.
struct EndedSessions {
  std::chrono::steady_clock::time_point at;
};

// What the counter is as far as this request knows: if it has set or erased it, or the session has ended meanwhile.
std::int64_t counted_locally(const SessionState& state, std::string_view name, std::int64_t by) {
  const std::string text = state.get(name).value_or("0");
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw RedisError("the session field to increment is not an integer");
  }
  if (__builtin_add_overflow(value, by, &value)) throw RedisError("increment would overflow");
  return value;
}

}  // namespace

SessionStore::SessionStore(RedisClient* client, const Config& config)
    : client_(client),
      prefix_(key_prefix(config.name)),
      one_slot_(is_redis_cluster(config.redis)),
      cookie_(config),
      ttl_(std::max(config.session_ttl, Milliseconds(1))),
      first_ttl_(std::clamp(config.session_first_ttl, Milliseconds(1), ttl_)),
      lifetime_(std::max(config.session_lifetime, Milliseconds(0))),
      largest_{.bytes = config.session_max_bytes, .fields = config.session_max_fields} {}

// With a user's tag, the session is in the slot of the user's mark on a Redis Cluster.
std::string SessionStore::key_of(std::string_view id) const {
  const std::string_view tag = tag_of(id);
  std::string key;
  key.reserve(prefix_.size() + tag.size() + id.size() + 8);
  key.append(prefix_).append(":s:{");
  if (!tag.empty()) return key.append(tag).append("}:").append(id);
  return key.append(id).append("}");
}

// A pattern that finds the key, and no more of it: whoever knows a whole id has the session.
void SessionStore::name_session(Reply& reply, std::string_view id) const {
  if (!reply.is_error()) return;
  const std::string key = std::string(prefix_).append(":s:{").append(id.substr(0, kShownOfId)).append("*");
  name_key(reply, key);
}

void SessionStore::name_mark(Reply& reply, std::string_view tag) const {
  if (reply.is_error()) name_key(reply, mark_key(tag));
}

std::string SessionStore::mark_key(std::string_view tag) const {
  return std::string(prefix_).append(":u:{").append(tag).append("}");
}

void SessionStore::refuse_without_redis() {
  constexpr const char* kWhy = "sessions need Redis, but the server runs with --redis none";
  if (!std::exchange(told_missing_, true)) log_warning(kWhy);
  throw HttpError(503, kWhy);
}

Task<std::shared_ptr<SessionState>> SessionStore::load(Exchange& exchange) {
  if (client_ == nullptr) refuse_without_redis();
  loads_of(exchange) = true;
  auto state = std::make_shared<SessionState>(*this, largest_);
  state->begun = exchange.started.time_since_epoch().count() > 0 ? exchange.started : std::chrono::steady_clock::now();
  auto* const early = exchange.request.attachment<EarlyReading>();
  std::unique_ptr<SessionReading> reading = early != nullptr ? early->take() : nullptr;
  if (!reading) {
    std::vector<std::string> named = cookie_.ids_of(exchange);
    if (named.empty()) co_return state;
    reading = std::make_unique<SessionReading>(*client_, std::move(named));
    read(*reading);
  }
  RedisCall& call = reading->call;
  std::vector<std::string>& ids = reading->ids;
  co_await call;
  // An id that Redis does not know is not adopted: every session gets an id of ours.
  std::int64_t left_ms = -1;
  std::size_t next = 0;  // reply
  for (std::string& id : ids) {
    Reply& fields = call.reply(next);
    const Reply& left = call.reply(next + 1);
    Reply* mark = tag_of(id).empty() ? nullptr : &call.reply(next + 2);
    next += mark == nullptr ? 2 : 3;
    name_session(fields, id);
    require_served(fields);
    if (mark != nullptr) {
      name_mark(*mark, tag_of(id));
      require_served(*mark);
    }
    if (fields.array().empty()) continue;
    if (has_ended(fields, mark)) {
      client_->post(std::array<std::string_view, 2>{"DEL", key_of(id)});
      continue;
    }
    if (state->stored) {
      state->rivals.push_back(std::move(id));
      continue;
    }
    state->loaded(std::move(id), std::move(fields));
    left_ms = left.is_integer() ? left.integer() : -1;
  }
  if (state->stored && needs_renewal(*state, left_ms)) co_await renew(*state);
  co_return state;
}

void SessionStore::read(SessionReading& reading) const {
  for (const std::string& id : reading.ids) {
    const std::string key = key_of(id);
    reading.call.send({"HGETALL", key});
    reading.call.send({"PTTL", key});
    if (const std::string_view tag = tag_of(id); !tag.empty()) reading.call.send({"GET", mark_key(tag)});
  }
}

// Those without a route share one.
bool& SessionStore::loads_of(const Exchange& exchange) noexcept {
  return loads_[std::min<std::size_t>(exchange.route_index, kMaxRoutes)];
}

void SessionStore::begin_load(Exchange& exchange) {
  if (!loads_of(exchange) || client_ == nullptr || !client_->up()) return;
  std::vector<std::string> named = cookie_.ids_of(exchange);
  if (named.empty()) return;
  auto reading = std::make_unique<SessionReading>(*client_, std::move(named));
  read(*reading);
  exchange.request.attach(EarlyReading(std::move(reading), loads_of(exchange)));
}

// Whether all sessions of its user have been ended since its login, or its absolute lifetime is over. `mark` is null for
// a session without a user.
bool SessionStore::has_ended(const Reply& fields, const Reply* mark) const {
  if (mark != nullptr && !mark->is_nil()) {
    const std::string* at_login = find_field(fields, kMarkField);
    if (at_login == nullptr || *at_login != mark->string()) return true;
  }
  if (lifetime_.count() == 0) return false;
  const std::int64_t born = number_in(fields, kBornField);
  return born > 0 && now_ms() >= born + lifetime_.count();
}

// What is left of the absolute lifetime, at most `ttl`.
std::chrono::milliseconds SessionStore::ttl_of(const SessionState& state) const {
  const std::chrono::milliseconds idle = state.made_here ? first_ttl_ : ttl_;
  if (lifetime_.count() == 0) return idle;
  const std::chrono::milliseconds left(state.born_ms == 0 ? lifetime_.count()
                                                          : state.born_ms + lifetime_.count() - now_ms());
  return std::clamp(left, std::chrono::milliseconds(1), idle);
}

// A session whose start is not known, because the option was not set then, starts with this request.
bool SessionStore::starts_late(const SessionState& state) const noexcept {
  return lifetime_.count() > 0 && state.born_ms == 0;
}

// Not at every request: a write has a price in Redis' log and its replicas.
bool SessionStore::needs_renewal(const SessionState& state, std::int64_t left_ms) const {
  const std::int64_t allowed_ms = ttl_of(state).count();
  return left_ms >= 0 && (starts_late(state) || left_ms < allowed_ms - allowed_ms / 10);
}

// Renews the time to live. If Redis refuses the write, the session is still read.
Task<void> SessionStore::renew(SessionState& state) {
  const std::string key = key_of(state.id);
  if (client_->refuses_writes(key)) co_return;
  const std::string ttl = std::to_string(ttl_of(state).count());
  try {
    if (starts_late(state)) {  // a script that does not write if the session has just ended
      state.born_ms = now_ms();
      const std::string born = std::to_string(state.born_ms);
      const std::array<std::string_view, 1> keys{key};
      const std::array<std::string_view, 8> args{ttl, "0", "", "0", "0", "0", born, "0"};
      (void)co_await run_script(*client_, session_write_script(), keys, args, kUnnamedKeys);
    } else {
      RedisCall call(*client_);
      call.send({"PEXPIRE", key, ttl});
      co_await call;
    }
  } catch (const RedisUnavailable&) {  // logged by the Redis client
  }
}

bool SessionStore::cookie_is_old(const SessionState& state) const {
  const std::chrono::seconds age(now_s() - state.cookie_sent);
  return age >= ttl_ / 2 || age < -kClockSkew;
}

bool SessionStore::must_commit(const Exchange& exchange) const {
  if (!exchange.session) return false;
  const SessionState& state = *exchange.session;
  if (state.rotating || state.logging_in || !state.doomed.empty() || !state.sweeps.empty() ||
      state.has_staged_changes()) {
    return true;
  }
  return !state.cookie_added && (state.made_here || (state.stored && cookie_is_old(state)));
}

Task<void> SessionStore::commit(Exchange& exchange, Response& response) {
  if (!must_commit(exchange)) co_return;
  if (const auto* ended = exchange.request.attachment<EndedSessions>()) {
    exchange.session->begun = std::max(exchange.session->begun, ended->at);
  }
  // Several steps are shielded from cancellation: a client that disconnects in between must not lose its session.
  const SessionState& state = *exchange.session;
  const bool one_step = state.doomed.empty() && !(one_slot_ && (state.rotating || state.logging_in));
  Task<Saved> saving = save(exchange.session);
  if (!one_step) saving = shield(std::move(saving));
  const Saved saved = co_await std::move(saving);
  if (!saved.cookie) co_return;
  cookie_.add(exchange, response, *saved.cookie, saved.max_age);
  exchange.session->cookie_added = !saved.cookie->empty();
}

Task<SessionStore::Saved> SessionStore::save(std::shared_ptr<SessionState> state) {
  const bool removed = !state->doomed.empty();
  if (removed) co_await remove_doomed(*state);
  if (state->id.empty() && state->has_staged_values()) {
    state->id = new_session_id(state->user() ? user_tag(*state->user()) : "");
    state->made_here = true;
  }
  if (!state->id.empty()) {
    const bool send_cookie = co_await write(*state);
    if (send_cookie) co_return Saved{state->id, cookie_life(*state)};
  } else if (removed) {
    co_return Saved{"", std::chrono::seconds(0)};
  }
  co_return Saved{};
}

Task<void> SessionStore::remove_doomed(SessionState& state) {
  std::vector<std::string> keys;
  for (const std::string& id : state.doomed) keys.push_back(key_of(id));
  state.doomed.clear();
  RedisCall call(*client_);
  for (const std::string& key : keys) call.send({"DEL", key});
  co_await call;
  for (std::size_t i = 0; i < keys.size(); ++i) require_served(call.reply(i));
}

// The client keeps the cookie as long as the session may live once the cookie has come back.
std::chrono::seconds SessionStore::cookie_life(const SessionState& state) const {
  std::chrono::milliseconds life = ttl_;
  if (lifetime_.count() > 0 && state.born_ms > 0) {
    const std::chrono::milliseconds left(state.born_ms + lifetime_.count() - now_ms());
    life = std::clamp(left, std::chrono::milliseconds(1), ttl_);
  }
  return std::chrono::ceil<std::chrono::seconds>(life);
}

// Returns whether the cookie must be sent.
Task<bool> SessionStore::write(SessionState& state) {
  const std::string tag = state.user() ? user_tag(*state.user()) : "";
  const bool logging_in = std::exchange(state.logging_in, false);
  const bool rotating = std::exchange(state.rotating, false) || (logging_in && tag_of(state.id) != tag);
  if (state.made_here && !state.has_staged_changes() && !rotating) {
    co_return state.stored;  // increment() has written everything
  }
  const bool send_cookie = rotating || (!state.cookie_added && (state.made_here || cookie_is_old(state)));
  // Only the cookie and what previous requests have left: if Redis refuses that, the request succeeds all the same.
  const bool optional = !state.made_here && !rotating && !state.has_staged_changes();
  if (optional && ((!send_cookie && state.sweeps.empty()) || client_->refuses_writes(key_of(state.id)))) {
    co_return false;
  }

  const std::string old_id = state.id;
  if (rotating) state.id = new_session_id(tag_of(old_id).empty() && !logging_in ? "" : tag);
  const bool starts = lifetime_.count() > 0 && (state.made_here || logging_in || state.born_ms == 0);
  if (starts) state.born_ms = now_ms();
  SessionWrite written{.key = key_of(state.id),
                       .old_key = rotating ? key_of(old_id) : "",
                       .mark_key = logging_in ? mark_key(tag) : "",
                       .ttl = std::to_string(ttl_of(state).count()),
                       .create = state.made_here,
                       .cookie_sent = send_cookie ? std::to_string(now_s()) : "",
                       .born = starts ? std::to_string(state.born_ms) : "",
                       .sets = {},
                       .erases = std::exchange(state.sweeps, {}),
                       .begun = state.begun};
  for (const auto& [name, change] : state.changes) {
    if (change.staged && change.value) written.sets.insert(written.sets.end(), {name, *change.value});
    if (change.staged && !change.value) written.erases.push_back(name);
  }
  const bool moves = rotating && one_slot_ && !in_one_slot(old_id, state.id);
  Task<Reply> writing = moves ? move_session(*client_, std::move(written)) : write_session(*client_, written);
  Reply reply = co_await std::move(writing);
  if (optional && is_refusal(reply)) co_return false;
  if (logging_in) {
    name_mark(reply, tag);
  } else {
    name_session(reply, state.id);
  }
  require_served(reply);
  for (auto& [name, change] : state.changes) change.staged = false;
  state.stored = reply.integer() == 1;
  if (!state.stored) co_return false;
  co_return send_cookie;
}

Task<std::int64_t> SessionStore::increment(std::shared_ptr<SessionState> state, std::string name, std::int64_t by) {
  constexpr std::size_t kDigits = 20;
  SessionState::refuse_reserved(name);
  state->require_room(name, kDigits);
  if (state->id.empty()) {  // before the await, so that a concurrent increment uses the same session
    state->id = new_session_id();
    state->made_here = true;
    if (lifetime_.count() > 0) state->born_ms = now_ms();
  }
  const std::string id = state->id;
  const std::string key = key_of(id);
  const std::string now = std::to_string(now_s());
  const std::string amount = std::to_string(by);
  const SessionState::Change* change = state->change(name);
  const bool staged = change != nullptr && change->staged;
  const std::string known = staged ? std::to_string(counted_locally(*state, name, by)) : "";
  const std::array<std::string_view, 1> keys{key};
  const std::string ttl = std::to_string(ttl_of(*state).count());
  const std::string born = state->made_here && state->born_ms > 0 ? std::to_string(state->born_ms) : "";
  const std::array<std::string_view, 7> args{ttl, state->made_here ? "1" : "0", now, name, amount, known, born};
  Reply counted = co_await run_script(*client_, session_increment_script(), keys, args, kUnnamedKeys);
  name_session(counted, id);
  require_served(counted);

  const bool ended = counted.is_nil();
  const std::int64_t value = ended ? counted_locally(*state, name, by) : counted.integer();
  if (state->id == id) {  // not destroyed meanwhile
    state->counted(name, value);
    state->stored = true;
  }
  co_return value;
}

// The mark outlives every session that it ends: none of them can be renewed. An embedded Redis that is full evicts what
// expires soonest, so it goes after these sessions.
Task<void> SessionStore::end_all(std::string user) {
  if (client_ == nullptr) refuse_without_redis();
  const std::string key = mark_key(user_tag(user));
  const std::string mark = random_hex();
  const std::string ttl = std::to_string(2 * ttl_.count() + 60'000);
  const std::array<std::string_view, 1> keys{key};
  const std::array<std::string_view, 2> args{mark, ttl};
  const Reply reply = co_await run_script(*client_, session_mark_script(), keys, args);
  require_served(reply);
  if (Exchange* running = running_exchange()) running->request.attach(EndedSessions{std::chrono::steady_clock::now()});
}

}  // namespace pronghorn::worker
