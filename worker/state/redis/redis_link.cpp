#include "worker/state/redis/redis_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/encode_command.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{50};
constexpr milliseconds kLongestBackoff{5'000};

std::string describe(const RedisUrl& url) {
  if (url.is_unix) return "unix:" + url.path;
  const bool ipv6 = url.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}{}{}:{}", url.user, url.user.empty() ? "" : "@", ipv6 ? "[" : "", url.host, ipv6 ? "]" : "",
                     url.port);
}

// Errors of a server that is not ready to serve anybody yet.
bool is_temporary(std::string_view error) {
  for (const std::string_view trouble : {"LOADING", "BUSY", "MASTERDOWN", "DENIED", "ERR max number of clients"}) {
    if (error.starts_with(trouble)) return true;
  }
  return false;
}

}  // namespace

RedisLink::RedisLink(uv_loop_t* loop, RedisUrl url, milliseconds timeout, WorkerRow& row, Listener& listener)
    : loop_(loop),
      url_(std::move(url)),
      address_(describe(url_)),
      timeout_(std::max(timeout, milliseconds(1))),
      row_(row),
      listener_(listener),
      backoff_(kFirstBackoff),
      random_(std::random_device{}()),
      timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {
  row_.redis_state.store(RedisState::connecting, std::memory_order_relaxed);
}

void RedisLink::start(std::function<void(std::string)> on_fatal) {
  if (state_ != State::idle) return;
  on_fatal_ = std::move(on_fatal);
  first_until_ms_ = uv_hrtime() / 1'000'000 + static_cast<std::uint64_t>(timeout_.count());
  down_since_ms_ = uv_hrtime() / 1'000'000;
  connect();
}

void RedisLink::close() noexcept {
  state_ = State::closed;
  connection_.reset();
  timer_.reset();
}

std::string RedisLink::obstacle() const {
  if (state_ == State::closed) return "the worker is stopping";
  if (state_ == State::up || first_) return {};
  return fmt::format("Redis at {} is unreachable: {}", address_, last_reason_);
}

void RedisLink::connect() {
  state_ = State::connecting;
  connection_ = std::make_unique<RedisConnection>(loop_, static_cast<RedisConnection::Listener&>(*this));
  reader_ = std::make_unique<ReplyReader>();
  const auto on_deadline = [](uv_timer_t* timer) {
    auto* link = static_cast<RedisLink*>(timer->data);
    link->lost(fmt::format("no connection within {} ms", link->timeout_.count()));
  };
  uv_update_time(loop_);
  uv_timer_start(timer_.get(), on_deadline, static_cast<std::uint64_t>(timeout_.count()), 0);
  if (const std::string reason = connection_->open(url_); !reason.empty()) retry_later(reason);
}

// ---- login

void RedisLink::connected() {
  state_ = State::greeting;
  refusal_.clear();
  greeting_.clear();
  if (!url_.password.empty()) greeting_.push_back(Greeting::auth);
  if (url_.database != 0) greeting_.push_back(Greeting::select);
  greeting_.push_back(Greeting::ping);  // shows whether Redis wants a password, or is still loading its data
  greet_next(0);
}

// One command at a time, so that the answer to AUTH is known before anything depends on it.
void RedisLink::greet_next(std::size_t step) {
  greeting_step_ = step;
  std::string command;
  const std::string database = std::to_string(url_.database);
  switch (greeting_[step]) {
    case Greeting::auth:
      if (url_.user.empty()) {
        append_command(command, std::array<std::string_view, 2>{"AUTH", url_.password});
      } else {
        append_command(command, std::array<std::string_view, 3>{"AUTH", url_.user, url_.password});
      }
      break;
    case Greeting::select:
      append_command(command, std::array<std::string_view, 2>{"SELECT", database});
      break;
    case Greeting::ping:
      append_command(command, std::array<std::string_view, 1>{"PING"});
      break;
  }
  if (const int error = connection_->write(command); error != 0) lost(uv_strerror(error));
}

// Of Redis' answer to AUTH only the first word is told: a server that does not know the command quotes the password.
void RedisLink::greeted(const Reply& reply) {
  const Greeting step = greeting_[greeting_step_];
  if (reply.is_error()) {
    const std::string_view error = reply.error();
    const std::string code(error.substr(0, error.find(' ')));
    if (is_temporary(error)) return lost(std::string(error));
    if (step == Greeting::auth) {
      return rejected(fmt::format("Redis at {} rejects the user or password of the option redis ({})", address_, code));
    }
    if (step == Greeting::select) {
      return rejected(fmt::format("Redis at {} rejects database {}: {}", address_, url_.database, error));
    }
    if (code == "NOAUTH") {
      return rejected(fmt::format("Redis at {} requires a password: set redis://[user]:password@host:port", address_));
    }
    // A user without permission to PING may still run other commands, and a server that cannot save still reads.
    if (code == "MISCONF") {
      refusal_ = error;
    } else if (code != "NOPERM") {
      return lost(std::string(error));
    }
  }
  if (greeting_step_ + 1 < greeting_.size()) return greet_next(greeting_step_ + 1);
  now_up();
}

void RedisLink::now_up() {
  state_ = State::up;
  uv_timer_stop(timer_.get());
  backoff_ = kFirstBackoff;
  row_.redis_state.store(RedisState::up, std::memory_order_relaxed);
  if (told_unreachable_) {
    const std::uint64_t away_ms = uv_hrtime() / 1'000'000 - down_since_ms_;
    log_info("Redis is reachable again", {{"address", address_}, {"away_ms", away_ms}});
  }
  first_ = false;
  told_unreachable_ = told_rejected_ = false;
  listener_.link_up(refusal_);
}

// ---- replies

void RedisLink::received(std::string_view bytes) {
  const std::uint64_t now = uv_hrtime();
  reader_->feed(bytes);
  Reply reply;
  while (connection_ != nullptr) {  // until a reply makes somebody drop the connection
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

void RedisLink::lost(const std::string& reason) {
  retry_later(reason);
  listener_.link_settled();
}

// Redis does not want us as we are configured.
void RedisLink::rejected(const std::string& what) {
  if (!first_) {  // the worker serves without Redis meanwhile, and somebody may mend the server
    if (!std::exchange(told_rejected_, true)) log_error(what);
    return lost(what);
  }
  connection_.reset();
  uv_timer_stop(timer_.get());
  state_ = State::waiting;  // for ever: another attempt would fail in the same way
  first_ = false;
  last_reason_ = what;
  row_.redis_state.store(RedisState::down, std::memory_order_relaxed);
  listener_.link_down(what);
  if (on_fatal_) std::exchange(on_fatal_, nullptr)(what);
  listener_.link_settled();
}

void RedisLink::retry_later(const std::string& reason) {
  if (state_ == State::up) down_since_ms_ = uv_hrtime() / 1'000'000;
  connection_.reset();
  state_ = State::waiting;
  last_reason_ = reason;

  std::uniform_int_distribution<milliseconds::rep> half(backoff_.count() / 2, backoff_.count());
  const milliseconds delay(half(random_));
  backoff_ = std::min(backoff_ * 2, kLongestBackoff);

  const auto next_attempt_ms = uv_hrtime() / 1'000'000 + static_cast<std::uint64_t>(delay.count());
  if (!first_ || next_attempt_ms >= first_until_ms_) {
    first_ = false;
    row_.redis_state.store(RedisState::down, std::memory_order_relaxed);
    if (!std::exchange(told_unreachable_, true)) {
      log_warning("Redis is unreachable", {{"address", address_}, {"reason", reason}});
    }
    listener_.link_down(fmt::format("Redis at {} is unreachable: {}", address_, reason));
  }
  const auto on_time = [](uv_timer_t* timer) { static_cast<RedisLink*>(timer->data)->connect(); };
  uv_update_time(loop_);
  uv_timer_start(timer_.get(), on_time, static_cast<std::uint64_t>(delay.count()), 0);
}

}  // namespace pronghorn::worker
