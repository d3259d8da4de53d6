#include "worker/state/sessions/session_store.h"

#include <algorithm>
#include <array>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "common/log.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/error.h"
#include "worker/http/cookies.h"
#include "worker/state/keys/key.h"
#include "worker/state/redis/link/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"
#include "worker/state/sessions/session_id.h"

namespace pronghorn::worker {
namespace {

// KEYS: the session; its old key, if it gets a new id. ARGV: time to live in ms; "1" to create the session; the time stamp
// of the cookie, "" if it is not sent; the number of fields to set; their names and values; the names of fields to
// delete. Returns 1 if the session exists afterwards.
const Script& write_script() {
  static const Script script(R"lua(
local key, old = KEYS[1], KEYS[2]
local sets = tonumber(ARGV[4])
if old and redis.call('EXISTS', old) == 1 then
  redis.call('RENAME', old, key)
elseif old and sets == 0 then
  return 0
elseif not old and ARGV[2] == '0' and redis.call('EXISTS', key) == 0 then
  return 0
end
if ARGV[3] ~= '' then redis.call('HSET', key, '_pronghorn.sent', ARGV[3]) end
local last = 4 + 2 * sets
for i = 5, last, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('HDEL', key, ARGV[i]) end
redis.call('PEXPIRE', key, ARGV[1])
return 1
)lua");
  return script;
}

// ARGV: time to live in ms; "1" to create the session; the current time; field; amount; the staged change of the field:
// "" none, "-" erase it, "=" set it to the value that follows. HGET reads the new value as text, because a Lua number is
// a double.
const Script& increment_script() {
  static const Script script(R"lua(
local key, field = KEYS[1], ARGV[4]
if ARGV[2] == '0' and redis.call('EXISTS', key) == 0 then return false end
if ARGV[6] == '=' then redis.call('HSET', key, field, ARGV[7]) end
if ARGV[6] == '-' then redis.call('HDEL', key, field) end
redis.call('HINCRBY', key, field, ARGV[5])
if ARGV[2] == '1' then redis.call('HSETNX', key, '_pronghorn.sent', ARGV[3]) end
redis.call('PEXPIRE', key, ARGV[1])
return redis.call('HGET', key, field)
)lua");
  return script;
}

// How many cookies of the session's name are looked up; a browser sends one for each path that one was set for.
constexpr std::size_t kMaxCandidates = 16;
// A cookie that was stamped further in the future than clocks of machines differ is sent again.
constexpr std::chrono::seconds kClockSkew{60};

std::int64_t now_s() {
  using namespace std::chrono;
  return duration_cast<std::chrono::seconds>(system_clock::now().time_since_epoch()).count();
}

// The result for a session that has ended meanwhile: the value that the counter would have had just before.
std::int64_t counted_locally(const SessionState& state, std::string_view name, std::int64_t by) {
  const std::optional<std::string> before = state.get(name);
  std::int64_t value = 0;
  if (__builtin_add_overflow(before ? Reply(*before).integer() : 0, by, &value)) {
    throw RedisError("increment would overflow");
  }
  return value;
}

}  // namespace

SessionStore::SessionStore(RedisClient* client, const Config& config)
    : client_(client),
      prefix_(key_prefix(config.name) + ":s:{"),
      cookie_name_(config.session_cookie),
      ttl_(std::max(config.session_ttl, Milliseconds(1))),
      ttl_text_(std::to_string(ttl_.count())),
      first_ttl_text_(std::to_string(std::clamp(config.session_first_ttl, Milliseconds(1), ttl_).count())) {}

// A user of Redis may have permission for the trial write of the login, and not for every command of sessions.
void SessionStore::require_permitted(const Reply& reply) {
  if (reply.is_error() && error_code(reply.error()) == "NOPERM" && !std::exchange(told_forbidden_, true)) {
    log_error("Redis does not permit a command that sessions need", {{"error", reply.error()}});
  }
  require_served(reply);
}

std::string SessionStore::key_of(std::string_view id) const {
  std::string key;
  key.reserve(prefix_.size() + id.size() + 1);
  key.append(prefix_).append(id).append("}");
  return key;
}

void SessionStore::refuse_without_redis() {
  constexpr const char* kWhy = "sessions need Redis, but the server runs with --redis none";
  if (!std::exchange(told_missing_, true)) log_warning(kWhy);
  throw HttpError(503, kWhy);
}

// The values of the session cookies that have the form of an id, each once.
std::vector<std::string> SessionStore::candidates(const Exchange& exchange) const {
  std::vector<std::string> ids;
  for_each_cookie(exchange.request.headers(), cookie_name_, [&ids](std::string_view value) {
    if (is_session_id(value) && std::ranges::find(ids, value) == ids.end()) ids.emplace_back(value);
    return ids.size() < kMaxCandidates;
  });
  return ids;
}

Task<std::shared_ptr<SessionState>> SessionStore::load(Exchange& exchange) {
  if (client_ == nullptr) refuse_without_redis();
  auto state = std::make_shared<SessionState>(*this);
  std::vector<std::string> ids = candidates(exchange);
  if (ids.empty()) co_return state;

  RedisCall call(*client_);
  for (const std::string& id : ids) {
    const std::string key = key_of(id);
    call.send({"HGETALL", key});
    call.send({"PTTL", key});
  }
  co_await call;
  // An id that Redis does not know is not adopted: every session gets an id of ours.
  std::int64_t left_ms = -1;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    Reply& fields = call.reply(2 * i);
    const Reply& left = call.reply(2 * i + 1);
    require_permitted(fields);
    if (fields.array().empty()) continue;
    if (state->stored) {
      state->rivals.push_back(std::move(ids[i]));
      continue;
    }
    state->loaded(std::move(ids[i]), std::move(fields));
    left_ms = left.is_integer() ? left.integer() : -1;
  }
  if (state->stored) co_await renew(state->id, left_ms);
  co_return state;
}

// Renews the time to live, but not at every request: a write has a price in Redis' log and its replicas. If Redis
// refuses the write, the session is still read.
Task<void> SessionStore::renew(std::string_view id, std::int64_t left_ms) {
  if (left_ms < 0 || left_ms >= ttl_.count() - ttl_.count() / 10 || client_->refuses_writes()) co_return;
  const std::string key = key_of(id);
  RedisCall call(*client_);
  call.send({"PEXPIRE", key, ttl_text_});
  try {
    co_await call;
  } catch (const RedisUnavailable&) {  // logged by the Redis client
  }
}

bool SessionStore::cookie_is_old(const SessionState& state) const {
  const std::chrono::seconds age(now_s() - state.cookie_sent);
  return age >= ttl_ / 2 || age < -kClockSkew;
}

bool SessionStore::has_changes(const Exchange& exchange) const {
  if (!exchange.session) return false;
  const SessionState& state = *exchange.session;
  if (state.rotating || !state.doomed.empty() || state.has_staged_changes()) return true;
  return !state.cookie_added && (state.made_here || (state.stored && cookie_is_old(state)));
}

Task<void> SessionStore::commit(Exchange& exchange, Response& response) {
  if (!has_changes(exchange)) co_return;
  // Several steps are shielded from cancellation: a client that disconnects in between must not lose its session.
  const bool one_step = exchange.session->doomed.empty();
  Task<Saved> saving = save(exchange.session);
  if (!one_step) saving = shield(std::move(saving));
  const Saved saved = co_await std::move(saving);
  if (!saved.cookie) co_return;
  add_cookie(exchange, response, *saved.cookie, saved.max_age);
  exchange.session->cookie_added = !saved.cookie->empty();
}

Task<SessionStore::Saved> SessionStore::save(std::shared_ptr<SessionState> state) {
  const bool removed = !state->doomed.empty();
  if (removed) co_await remove_doomed(*state);
  if (state->id.empty() && state->has_staged_values()) {
    state->id = new_session_id();
    state->made_here = true;
  }
  if (!state->id.empty()) {
    const bool send_cookie = co_await write(*state);
    if (send_cookie) co_return Saved{state->id, std::chrono::ceil<std::chrono::seconds>(ttl_)};
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
  for (std::size_t i = 0; i < keys.size(); ++i) require_permitted(call.reply(i));
}

// Returns whether the cookie must be sent.
Task<bool> SessionStore::write(SessionState& state) {
  const bool rotating = std::exchange(state.rotating, false);
  if (state.made_here && !state.has_staged_changes()) co_return state.stored;  // increment() has written everything
  const bool send_cookie = rotating || (!state.cookie_added && (state.made_here || cookie_is_old(state)));
  const bool only_cookie = !state.made_here && !rotating && !state.has_staged_changes();
  if (only_cookie && (!send_cookie || client_->refuses_writes())) co_return false;

  const std::string old_key = key_of(state.id);
  if (rotating) state.id = new_session_id();
  const std::string key = key_of(state.id);
  const std::string sent = send_cookie ? std::to_string(now_s()) : "";
  std::vector<std::string_view> args{ttl_text(state), state.made_here ? "1" : "0", sent, ""};
  for (const auto& [name, change] : state.changes) {
    if (change.staged && change.value) args.insert(args.end(), {name, *change.value});
  }
  const std::string set_count = std::to_string((args.size() - 4) / 2);
  args[3] = set_count;
  for (const auto& [name, change] : state.changes) {
    if (change.staged && !change.value) args.push_back(name);
  }
  const std::array<std::string_view, 2> keys{key, old_key};
  const Reply written = co_await run_script(*client_, write_script(), std::span(keys).first(rotating ? 2 : 1), args);
  if (only_cookie && is_refusal(written)) co_return false;
  require_permitted(written);
  for (auto& [name, change] : state.changes) change.staged = false;
  state.stored = written.integer() == 1;
  co_return send_cookie&& state.stored;
}

// A client that has not sent the cookie back yet may never do so: its session expires soon.
const std::string& SessionStore::ttl_text(const SessionState& state) const noexcept {
  return state.made_here ? first_ttl_text_ : ttl_text_;
}

void SessionStore::add_cookie(Exchange& exchange, Response& response, std::string_view value,
                              std::chrono::seconds max_age) const {
  CookieOptions options;
  options.max_age = max_age;
  // Browsers reject a cookie with such a prefix unless it is Secure.
  options.secure = exchange.request.scheme() == "https" || cookie_name_.starts_with("__Host-") ||
                   cookie_name_.starts_with("__Secure-");
  response.cookie(cookie_name_, value, options);
}

Task<std::int64_t> SessionStore::increment(std::shared_ptr<SessionState> state, std::string name, std::int64_t by) {
  if (name == kCookieSentField) throw std::invalid_argument("the session field " + name + " is reserved");
  if (state->id.empty()) {  // before the await, so that a concurrent increment uses the same session
    state->id = new_session_id();
    state->made_here = true;
  }
  const std::string id = state->id;
  const std::string key = key_of(id);
  const std::string now = std::to_string(now_s());
  const std::string amount = std::to_string(by);
  const SessionState::Change* change = state->change(name);
  const bool staged = change != nullptr && change->staged;
  const std::string base = staged && change->value ? *change->value : "";
  const std::array<std::string_view, 1> keys{key};
  const std::array<std::string_view, 7> args{ttl_text(*state),
                                             state->made_here ? "1" : "0",
                                             now,
                                             name,
                                             amount,
                                             !staged ? "" : change->value ? "=" : "-",
                                             base};
  const Reply counted = co_await run_script(*client_, increment_script(), keys, args);
  require_permitted(counted);

  const bool ended = counted.is_nil();
  const std::int64_t value = ended ? counted_locally(*state, name, by) : counted.integer();
  if (state->id == id) {  // not destroyed meanwhile
    state->counted(name, value);
    state->stored = true;
  }
  co_return value;
}

}  // namespace pronghorn::worker
