#include "worker/state/redis/link/redis_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/link/endpoint.h"
#include "worker/state/redis/protocol/encode_command.h"
#include "worker/state/redis/protocol/reply_errors.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

// Written and removed at once; HSET is refused for every reason for which the writes of sessions are.
constexpr std::string_view kTrialScript =
    "redis.call('HSET', KEYS[1], 'trial', '1') redis.call('DEL', KEYS[1]) return 1";

// Errors of a server that does not serve anybody yet.
bool is_temporary(std::string_view error) {
  for (const std::string_view trouble : {"LOADING", "BUSY", "MASTERDOWN", "DENIED", "ERR max number of clients"}) {
    if (error.starts_with(trouble)) return true;
  }
  return false;
}

// Why the reply to ROLE is not that of the server that sentinels named; empty if it is, or if the user may not ask.
std::string_view role_obstacle(RedisTarget::Kind kind, const Reply& reply) {
  if (!reply.is_array() || reply.array().empty() || !reply.array()[0].is_string()) return {};
  const bool is_primary = reply.array()[0].string() == "master";
  if (kind == RedisTarget::Kind::primary) return is_primary ? "" : "the server is not the primary";
  return is_primary ? "the server is not a replica" : "";
}

}  // namespace

RedisLink::RedisLink(uv_loop_t* loop, TargetSource source, LinkSettings settings, Listener& listener)
    : loop_(loop),
      source_(std::move(source)),
      settings_(std::move(settings)),
      listener_(listener),
      lookup_(std::in_place, loop),
      timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {
  settings_.timeout = std::max(settings_.timeout, milliseconds(1));
  if (auto target = source_()) target_ = std::move(*target);
  address_ = describe(target_.url);
}

void RedisLink::start(std::function<void(std::string)> on_fatal) {
  if (state_ != State::idle) return;
  on_fatal_ = std::move(on_fatal);
  down_since_ms_ = uv_hrtime() / 1'000'000;
  patient_until_ms_ = down_since_ms_ + static_cast<std::uint64_t>(settings_.timeout.count());
  connect();
}

void RedisLink::reconnect() {
  if (state_ != State::up) return;
  down_since_ms_ = uv_hrtime() / 1'000'000;
  patient_ = true;
  patient_until_ms_ = down_since_ms_ + static_cast<std::uint64_t>(settings_.timeout.count());
  connect();
}

void RedisLink::retry_now() {
  if (state_ != State::waiting || uv_is_active(reinterpret_cast<uv_handle_t*>(timer_.get())) == 0) return;
  backoff_.reset();
  connect();
  listener_.link_settled();
}

std::string RedisLink::trial_key() const {
  auto target = source_();
  return target ? std::move(target->trial_key) : std::string();
}

std::array<std::string_view, 4> RedisLink::trial_write(std::string_view key) noexcept {
  return {"EVAL", kTrialScript, "1", key};
}

void RedisLink::close() noexcept {
  state_ = State::closed;
  connection_.reset();
  lookup_.reset();
  timer_.reset();
}

std::string RedisLink::obstacle() const {
  if (state_ == State::closed) return "the worker is stopping";
  if (state_ == State::up || patient_) return {};
  return fmt::format("Redis at {} is unreachable: {}", address_, last_reason_);
}

// False if nobody knows the target; the next attempt is then planned.
bool RedisLink::take_target() {
  auto target = source_();
  if (!target) {
    retry_later(target.error());
    return false;
  }
  const bool other_host = target->url.host != target_.url.host || target->url.port != target_.url.port;
  target_ = std::move(*target);
  if (other_host) {
    address_ = describe(target_.url);
    connection_.reset();
    lookup_.emplace(loop_);  // a lookup that still runs is of the other host
  }
  return true;
}

void RedisLink::connect() {
  if (!take_target()) return;
  state_ = State::connecting;
  connection_ = std::make_unique<RedisConnection>(loop_, *lookup_, static_cast<RedisConnection::Listener&>(*this));
  reader_ = std::make_unique<ReplyReader>();
  const auto on_deadline = [](uv_timer_t* timer) {
    auto* link = static_cast<RedisLink*>(timer->data);
    link->lost(link->connection_->overdue(link->timeout()));
  };
  uv_update_time(loop_);
  uv_timer_start(timer_.get(), on_deadline, static_cast<std::uint64_t>(settings_.timeout.count()), 0);
  if (const std::string reason = connection_->open(target_, settings_); !reason.empty()) retry_later(reason);
}

// ---- login

void RedisLink::connected() {
  state_ = State::greeting;
  refusal_.clear();
  plan_greeting();
  greet_next(0);
}

void RedisLink::plan_greeting() {
  using Kind = RedisTarget::Kind;
  greeting_.clear();
  if (target_.kind == Kind::sentinel) {
    greeting_.push_back(Greeting::knock);
    return;
  }
  if (!target_.url.password.empty()) greeting_.push_back(Greeting::auth);
  if (!settings_.client_name.empty()) greeting_.push_back(Greeting::name);
  if (target_.url.database != 0) greeting_.push_back(Greeting::select);
  const bool by_role = target_.kind == Kind::primary || target_.kind == Kind::standby;
  greeting_.push_back(by_role ? Greeting::role : Greeting::cluster);
  if (target_.kind == Kind::replica) greeting_.push_back(Greeting::readonly);
  if (!target_.trial_key.empty()) greeting_.push_back(Greeting::trial);
}

// One command at a time, so that the answer to AUTH is known before anything depends on it.
void RedisLink::greet_next(std::size_t step) {
  greeting_step_ = step;
  std::string command;
  const auto say = [&command](std::initializer_list<std::string_view> words) {
    append_command(command, std::span(words.begin(), words.size()));
  };
  const RedisUrl& url = target_.url;
  switch (greeting_[step]) {
    case Greeting::knock:
      say({"PING"});
      break;
    case Greeting::auth:
      append_auth(command, url);
      break;
    case Greeting::name:
      say({"CLIENT", "SETNAME", settings_.client_name});
      break;
    case Greeting::select:
      say({"SELECT", std::to_string(url.database)});
      break;
    case Greeting::cluster:
      say({"INFO", "cluster"});
      break;
    case Greeting::role:
      say({"ROLE"});
      break;
    case Greeting::readonly:
      say({"READONLY"});
      break;
    case Greeting::trial:
      append_command(command, trial_write(target_.trial_key));
      break;
  }
  if (const int error = connection_->write(command); error != 0) lost(uv_strerror(error));
}

void RedisLink::greeted(const Reply& reply) {
  const Greeting step = greeting_[greeting_step_];
  if (reply.is_error() && is_temporary(reply.error())) return lost(reply.error());
  if (!passed(step, reply)) return;
  if (greeting_step_ + 1 < greeting_.size()) return greet_next(greeting_step_ + 1);
  now_up();
}

// False if the login has ended. Of the reply to AUTH only the first word is logged: a server that does not know the
// command quotes the password.
bool RedisLink::passed(Greeting step, const Reply& reply) {
  const std::string_view error = reply.is_error() ? std::string_view(reply.error()) : std::string_view();
  const std::string_view code = error_code(error);
  if (code == "NOAUTH" && step != Greeting::auth && step != Greeting::name) {
    if (step == Greeting::knock && !target_.url.password.empty()) {
      greeting_.push_back(Greeting::auth);
      return true;
    }
    rejected("requires a password: set [user]:password@ before the host");
    return false;
  }
  switch (step) {
    case Greeting::knock:
    case Greeting::name:  // not every user may
      return true;
    case Greeting::auth:
      if (error.empty()) return true;
      if (error.find("without any password configured") != error.npos) {
        rejected("has no password: leave out the one of the option redis");
      } else {
        rejected(fmt::format("rejects the user or password of the option redis ({})", code));
      }
      return false;
    case Greeting::select:
      if (error.empty()) return true;
      rejected(fmt::format("rejects database {}: {}", target_.url.database, error));
      return false;
    case Greeting::cluster:  // not every user may ask, and not every server knows the answer
      return !reply.is_string() || is_right_kind(reply.string());
    case Greeting::role: {
      const std::string_view why = role_obstacle(target_.kind, reply);
      if (!why.empty()) lost(std::string(why));
      return why.empty();
    }
    case Greeting::readonly:
      if (!error.empty()) lost(std::string(error));
      return error.empty();
    case Greeting::trial:
      return trial_passed(error);
  }
  return true;
}

// A server of the other kind is a configuration error. Sentinels and clusters name only servers of the right kind.
bool RedisLink::is_right_kind(std::string_view info) {
  const bool is_cluster = info.find("cluster_enabled:1") != std::string_view::npos;
  const bool wants_cluster = target_.kind != RedisTarget::Kind::server;
  if (is_cluster == wants_cluster) return true;
  const std::string_view scheme = settings_.tls ? "rediss" : "redis";
  const std::string cluster = fmt::format("{}+cluster://", scheme), server = fmt::format("{}://", scheme);
  rejected(is_cluster ? fmt::format("is a Redis Cluster: use {} instead of {}", cluster, server)
                      : fmt::format("is not a Redis Cluster: use {} instead of {}", server, cluster));
  return false;
}

bool RedisLink::trial_passed(std::string_view error) {
  const std::string_view code = error_code(error);
  if (is_redirection(error)) {  // the key's slot has moved: this tells nothing
    if (target_.kind == RedisTarget::Kind::server) return is_right_kind("cluster_enabled:1");
    return true;
  }
  const bool forbidden = code == "NOPERM" || error.starts_with("ERR unknown command");
  if (forbidden && !was_up_) {
    const std::string_view prefix(target_.trial_key);
    rejected(fmt::format(
        "does not allow what sessions and rate limits need: permit EVAL, EVALSHA and the commands on hashes "
        "and keys for {}* ({})",
        prefix.substr(0, prefix.find(':') + 1), error));
    return false;
  }
  refusal_ = error;
  return true;
}

void RedisLink::now_up() {
  state_ = State::up;
  uv_timer_stop(timer_.get());
  backoff_.reset();
  if (told_unreachable_) {
    const std::uint64_t away_ms = uv_hrtime() / 1'000'000 - down_since_ms_;
    log_info("Redis is reachable again", {{"address", address_}, {"away_ms", away_ms}});
  }
  was_up_ = true;
  patient_ = told_unreachable_ = told_rejected_ = false;
  listener_.link_up(refusal_);
}

// ---- replies

void RedisLink::received(std::string_view bytes) {
  const std::uint64_t now = uv_hrtime();
  reader_->feed(bytes);
  Reply reply;
  while (connection_ != nullptr) {  // until a reply causes the connection to be dropped
    const ReplyReader::Next next = reader_->next(reply);
    if (next == ReplyReader::Next::incomplete) break;
    if (next == ReplyReader::Next::malformed) return lost("malformed reply: " + reader_->error());
    if (state_ == State::greeting) {
      greeted(reply);
    } else {
      listener_.link_replied(std::move(reply), now);
    }
  }
  listener_.link_settled();
}

// ---- failures

// A server that speaks TLS closes the connection when it gets a plain command.
void RedisLink::closed(const std::string& reason, RedisConnection::Cause cause) {
  if (cause == RedisConnection::Cause::misconfigured) {
    return rejected(fmt::format("Redis at {}: {}", address_, reason), reason);
  }
  const bool may_be_tls = state_ == State::greeting && greeting_step_ == 0 && !settings_.tls && !target_.url.is_unix;
  lost(may_be_tls ? reason + " before its first reply; if the port speaks TLS, use rediss in the place of redis"
                  : reason);
}

void RedisLink::lost(const std::string& reason) {
  retry_later(reason);
  listener_.link_settled();
}

// What the server does that only another configuration can change.
void RedisLink::rejected(const std::string& what) {
  rejected(fmt::format("Redis at {} {}", address_, what), "it " + what);
}

// Redis rejects our configuration, or we reject Redis. `what` is a whole sentence, `reason` what it says beside the
// address.
void RedisLink::rejected(const std::string& what, const std::string& reason) {
  if (was_up_ || !patient_ ||
      !on_fatal_) {  // the worker serves without Redis meanwhile, and the server may be repaired
    if (is_logged() && !std::exchange(told_rejected_, true)) log_error(what);
    return lost(reason);
  }
  connection_.reset();
  uv_timer_stop(timer_.get());
  state_ = State::waiting;  // for ever: another attempt would fail in the same way
  patient_ = false;
  last_reason_ = reason;
  listener_.link_down(reason);
  std::exchange(on_fatal_, nullptr)(what);
  listener_.link_settled();
}

void RedisLink::retry_later(const std::string& reason) {
  if (state_ == State::up) down_since_ms_ = uv_hrtime() / 1'000'000;
  connection_.reset();
  state_ = State::waiting;
  last_reason_ = reason;

  const milliseconds delay = backoff_.next();

  const auto next_attempt_ms = uv_hrtime() / 1'000'000 + static_cast<std::uint64_t>(delay.count());
  if (!patient_ || next_attempt_ms >= patient_until_ms_) {
    patient_ = false;
    if (is_logged() && !std::exchange(told_unreachable_, true)) {
      log_warning("Redis is unreachable", {{"address", address_}, {"reason", reason}});
    }
    listener_.link_down(reason);
  }
  const auto on_time = [](uv_timer_t* timer) { static_cast<RedisLink*>(timer->data)->connect(); };
  uv_update_time(loop_);
  uv_timer_start(timer_.get(), on_time, static_cast<std::uint64_t>(delay.count()), 0);
}

}  // namespace pronghorn::worker
