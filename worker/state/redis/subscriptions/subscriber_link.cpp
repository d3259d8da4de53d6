#include "worker/state/redis/subscriptions/subscriber_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/log.h"
#include "worker/state/redis/link/endpoint.h"
#include "worker/state/redis/protocol/encode_command.h"
#include "worker/state/redis/protocol/reply_errors.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kLastingMs = 10'000;  // a connection that lasts so long is no longer an interruption

std::uint64_t now_ms() noexcept { return uv_hrtime() / 1'000'000; }

std::string_view view_of(const Reply& reply) noexcept {
  return reply.is_string() ? std::string_view(reply.string()) : std::string_view();
}

}  // namespace

SubscriberLink::SubscriberLink(uv_loop_t* loop, TargetSource source, LinkSettings settings, milliseconds ping_interval,
                               TargetCheck has_left, MessageLink::Listener& listener)
    : loop_(loop),
      source_(std::move(source)),
      settings_(std::move(settings)),
      ping_interval_(std::max(ping_interval, milliseconds(1))),
      has_left_(std::move(has_left)),
      listener_(listener),
      prepare_(make_uv<uv_prepare_t>(loop, uv_prepare_init, this)),
      timer_(make_uv<uv_timer_t>(loop, uv_timer_init, this)) {
  settings_.timeout = std::max(settings_.timeout, milliseconds(1));
  address_ = describe(target_.url);
}

void SubscriberLink::start() {
  if (state_ != State::idle) return;
  down_since_ms_ = now_ms();
  connect();
}

void SubscriberLink::close() noexcept {
  state_ = State::closed;
  connection_.reset();
  lookup_.reset();
  prepare_.reset();
  timer_.reset();
}

void SubscriberLink::reconnect() {
  if (state_ != State::up) return;
  lost("Redis is at another address now");
  if (state_ == State::waiting) connect();
}

// ---- login

void SubscriberLink::connect() {
  state_ = State::connecting;
  connection_.reset();
  auto target = source_();
  if (!target) return lost(target.error());
  target_ = std::move(*target);
  address_ = describe(target_.url);
  lookup_.emplace(loop_);  // a lookup is bound to one name
  connection_ = std::make_unique<RedisConnection>(loop_, *lookup_, static_cast<RedisConnection::Listener&>(*this));
  reader_ = std::make_unique<ReplyReader>();
  incomplete_ = 0;
  wait(settings_.timeout);
  if (const std::string reason = connection_->open(target_, settings_); !reason.empty()) lost(reason);
}

// One command at a time, so that the answer to AUTH is known before anything depends on it.
void SubscriberLink::connected() {
  if (target_.url.password.empty()) return name_itself();
  state_ = State::authenticating;
  append_auth(output_, target_.url);
  flush();
}

void SubscriberLink::name_itself() {
  if (settings_.client_name.empty()) return identify();
  state_ = State::naming;
  append_command(output_, std::array<std::string_view, 3>{"CLIENT", "SETNAME", settings_.client_name});
  flush();
}

void SubscriberLink::identify() {
  state_ = State::identifying;
  append_command(output_, std::array<std::string_view, 2>{"CLIENT", "ID"});
  flush();
}

// Of the reply to AUTH only the first word is logged: a server that does not know the command quotes the password.
void SubscriberLink::greeted(const Reply& reply) {
  const std::string_view error = reply.is_error() ? std::string_view(reply.error()) : std::string_view();
  if (state_ == State::authenticating) {
    if (error.empty()) return name_itself();
    return lost(fmt::format("Redis rejects the user or password ({})", error_code(error)));
  }
  // Not every user may set the name or ask for the id.
  if (!error.empty() && error_code(error) != "NOPERM" && !error.starts_with("ERR unknown")) {
    return lost(std::string(error));
  }
  if (state_ == State::naming) return identify();
  client_id_ = reply.is_integer() ? reply.integer() : 0;
  now_up();
}

void SubscriberLink::now_up() {
  state_ = State::up;
  was_up_ = true;
  up_since_ms_ = now_ms();
  pinged_ = last_chance_ = false;
  wait(ping_interval_);
  listener_.link_up();
}

// Another server would not know the id, or as that of another client.
std::int64_t SubscriberLink::client_id() const noexcept { return has_moved() ? 0 : client_id_; }

// ---- commands out

std::uint64_t SubscriberLink::send(std::string_view verb, std::string_view name) {
  sent_.push_back(++last_command_);
  queue(verb, name);
  return last_command_;
}

void SubscriberLink::queue(std::string_view verb, std::string_view name) {
  const std::array<std::string_view, 2> words{verb, name};
  append_command(output_, std::span(words).first(name.empty() ? 1 : 2));
  uv_prepare_start(prepare_.get(), [](uv_prepare_t* prepare) { static_cast<SubscriberLink*>(prepare->data)->flush(); });
}

void SubscriberLink::flush() {
  if (prepare_) uv_prepare_stop(prepare_.get());
  if (connection_ == nullptr || output_.empty() || connection_->writing()) return;
  if (const int error = connection_->write(output_); error != 0) lost(uv_strerror(error));
}

// ---- replies in

void SubscriberLink::received(std::string_view bytes) {
  heard_ = true;
  incomplete_ += bytes.size();
  reader_->feed(bytes);
  Reply reply;
  const RedisConnection* connection = connection_.get();
  while (connection_.get() == connection) {  // until a reply causes the connection to be dropped
    const ReplyReader::Next next = reader_->next(reply);
    if (next == ReplyReader::Next::malformed) return lost("malformed reply: " + reader_->error());
    if (next == ReplyReader::Next::incomplete) {
      if (incomplete_ > kMaxMessage) lost(fmt::format("a message exceeds {} MiB", kMaxMessage / 1024 / 1024));
      return;
    }
    incomplete_ = 0;
    if (state_ == State::up) {
      replied(reply);
    } else {
      greeted(reply);
    }
  }
}

void SubscriberLink::replied(const Reply& reply) {
  if (reply.is_array() && pushed(reply.array())) return;
  answered(reply);
}

// A message. False if it is none.
bool SubscriberLink::pushed(const Reply::Array& values) {
  if (values.size() == 3 && view_of(values[0]) == "message") {
    listener_.link_message({}, view_of(values[1]), values[2]);
    return true;
  }
  if (values.size() == 4 && view_of(values[0]) == "pmessage") {
    listener_.link_message(view_of(values[1]), view_of(values[2]), values[3]);
    return true;
  }
  return false;
}

// The answer to the oldest command without one.
void SubscriberLink::answered(const Reply& reply) {
  if (sent_.empty()) {
    // Redis sends an error before it closes a connection that it does not want.
    return lost(reply.is_error() ? reply.error() : "a reply without a command");
  }
  const std::uint64_t command = sent_.front();
  sent_.pop_front();
  if (command == 0) {
    pinged_ = false;
  } else if (reply.is_error()) {
    listener_.link_refused(command, reply.error());
  } else {
    listener_.link_confirmed(command);
  }
}

// ---- keep-alive

void SubscriberLink::wait(milliseconds duration) {
  heard_ = false;
  uv_update_time(loop_);
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<SubscriberLink*>(timer->data)->time_is_up(); },
      static_cast<std::uint64_t>(duration.count()), 0);
}

void SubscriberLink::time_is_up() {
  if (state_ == State::waiting) return connect();
  if (state_ == State::up) return check_alive();
  lost(connection_->overdue(settings_.timeout));
}

void SubscriberLink::check_alive() {
  if (pinged_ && !heard_) {
    // After a handler has blocked the loop, the answer may be in the socket, unread: let the loop read it first. Not a
    // timer of 0 ms: libuv 1.44 would run it before it looks at the sockets.
    if (!std::exchange(last_chance_, true)) return wait(milliseconds(1));
    return lost(fmt::format("no answer to PING within {} ms", settings_.timeout.count()));
  }
  last_chance_ = false;
  tell_lasting(now_ms());
  if (!heard_ && !pinged_) {
    pinged_ = true;
    sent_.push_back(0);
    queue("PING", {});
    return wait(settings_.timeout);
  }
  if (has_moved()) return reconnect();
  wait(ping_interval_);
  listener_.link_tick();
}

// Whether nobody publishes any more where it is connected, although that server still answers: sentinels name another
// primary, or the node has left its cluster.
bool SubscriberLink::has_moved() const {
  if (has_left_ && has_left_(target_)) return true;
  if (target_.kind != RedisTarget::Kind::primary) return false;
  const auto now = source_();
  return now && (now->url.host != target_.url.host || now->url.port != target_.url.port);
}

// ---- failures

void SubscriberLink::lost(const std::string& reason) {
  const std::uint64_t now = now_ms();
  const bool was_up = state_ == State::up;
  if (was_up && !told_) down_since_ms_ = now;
  connection_.reset();
  output_.clear();
  sent_.clear();
  client_id_ = 0;
  state_ = State::waiting;
  tell_lost(reason, now);
  wait(backoff_.next());
  if (was_up) listener_.link_down();
}

// Before the first connection Redis may just be starting.
void SubscriberLink::tell_lost(const std::string& reason, std::uint64_t now_ms) {
  ++losses_;
  if (told_ || (!was_up_ && now_ms - down_since_ms_ < static_cast<std::uint64_t>(settings_.timeout.count()))) return;
  told_ = true;
  losses_ = 1;
  log_warning("messages of Redis may be missed: the connection for subscriptions is lost",
              {{"address", address_}, {"reason", reason}});
}

void SubscriberLink::tell_lasting(std::uint64_t now_ms) {
  if (now_ms - up_since_ms_ < kLastingMs) return;
  backoff_.reset();
  if (!std::exchange(told_, false)) return;
  log_info("messages of Redis are received again",
           {{"address", address_}, {"away_ms", up_since_ms_ - down_since_ms_}, {"attempts", losses_}});
}

}  // namespace pronghorn::worker
