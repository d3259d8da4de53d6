#include "worker/state/redis/redis_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "common/log.h"

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{50};
constexpr milliseconds kLongestBackoff{5'000};
constexpr std::uint64_t kProbeEveryMs = 1'000;
constexpr std::string_view kCannotSave = "MISCONF";  // Redis' word for writes that it cannot save

std::string describe(const RedisUrl& url) {
  if (url.is_unix) return "unix:" + url.path;
  const bool ipv6 = url.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}{}{}:{}", url.user, url.user.empty() ? "" : "@", ipv6 ? "[" : "", url.host, ipv6 ? "]" : "",
                     url.port);
}

void append_number(std::string& output, char kind, std::size_t number) {
  std::array<char, 24> text;
  text[0] = kind;
  char* end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  output.append(text.data(), end);
}

void append_command(std::string& output, std::span<const std::string_view> words) {
  append_number(output, '*', words.size());
  for (const std::string_view word : words) {
    append_number(output, '$', word.size());
    output.append(word).append("\r\n");
  }
}

// What Redis says when it cannot serve just now, whoever asks.
bool is_passing_trouble(std::string_view error) {
  for (const std::string_view trouble : {"LOADING", "BUSY", "MASTERDOWN", "DENIED", "ERR max number of clients"}) {
    if (error.starts_with(trouble)) return true;
  }
  return false;
}

template <class Handle>
UvPtr<Handle> make_handle(uv_loop_t* loop, int (*initialise)(uv_loop_t*, Handle*), void* owner) {
  auto* handle = new Handle;
  initialise(loop, handle);  // timers and prepare handles cannot fail
  handle->data = owner;
  return UvPtr<Handle>(handle);
}

}  // namespace

// ---- RedisCall

RedisCall::~RedisCall() {
  if (outstanding() > 0 || ready_position_ != SIZE_MAX) client_.forget(*this);
}

void RedisCall::send(std::span<const std::string_view> words) { client_.issue(*this, words); }

void RedisCall::send(const Command& command) {
  const std::vector<std::string_view> words(command.words().begin(), command.words().end());
  send(words);
}

void RedisCall::await_resume() const {
  if (!failure_.empty()) throw RedisUnavailable(failure_);
}

void RedisCall::accept(Reply reply) {
  if (received_++ == 0) {
    first_ = std::move(reply);
  } else {
    others_.push_back(std::move(reply));
  }
}

// ---- connecting

RedisClient::RedisClient(uv_loop_t* loop, RedisUrl url, milliseconds timeout, WorkerRow& row)
    : loop_(loop),
      url_(std::move(url)),
      address_(describe(url_)),
      timeout_(std::max(timeout, milliseconds(1))),
      row_(row),
      backoff_(kFirstBackoff),
      random_(std::random_device{}()),
      prepare_(make_handle<uv_prepare_t>(loop, uv_prepare_init, this)),
      sweep_timer_(make_handle<uv_timer_t>(loop, uv_timer_init, this)),
      probe_timer_(make_handle<uv_timer_t>(loop, uv_timer_init, this)),
      connect_timer_(make_handle<uv_timer_t>(loop, uv_timer_init, this)) {
  row_.redis_state.store(RedisState::connecting, std::memory_order_relaxed);
}

RedisClient::~RedisClient() { close(); }

void RedisClient::start(std::function<void(std::string)> on_fatal) {
  if (state_ != State::idle) return;
  on_fatal_ = std::move(on_fatal);
  first_until_ms_ = uv_hrtime() / 1'000'000 + static_cast<std::uint64_t>(timeout_.count());
  down_since_ms_ = uv_hrtime() / 1'000'000;
  connect();
}

void RedisClient::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  disconnect();
  prepare_.reset();
  sweep_timer_.reset();
  probe_timer_.reset();
  connect_timer_.reset();
  fail_all("the worker is stopping");
  resume_ready();
}

void RedisClient::connect() {
  state_ = State::connecting;
  connection_ = std::make_unique<RedisConnection>(loop_, static_cast<RedisConnection::Listener&>(*this));
  reader_ = std::make_unique<ReplyReader>();
  const auto on_deadline = [](uv_timer_t* timer) {
    auto* client = static_cast<RedisClient*>(timer->data);
    client->lost(fmt::format("no connection within {} ms", client->timeout_.count()));
  };
  uv_update_time(loop_);
  uv_timer_start(connect_timer_.get(), on_deadline, static_cast<std::uint64_t>(timeout_.count()), 0);
  if (const std::string reason = connection_->open(url_); !reason.empty()) retry_later(reason);
}

void RedisClient::connected() {
  state_ = State::greeting;
  greeting_.clear();
  if (!url_.password.empty()) greeting_.push_back(Greeting::auth);
  if (url_.database != 0) greeting_.push_back(Greeting::select);
  greeting_.push_back(Greeting::ping);  // also tells whether Redis wants a password, or is still loading its data
  greet_next(0);
}

// One at a time: what Redis thinks of the password is not mixed up with what follows from it.
void RedisClient::greet_next(std::size_t step) {
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

// Redis' own words about AUTH are cut to the first: a server that does not know the command would quote the password.
void RedisClient::greeted(const Reply& reply) {
  const Greeting step = greeting_[greeting_step_];
  if (reply.is_error()) {
    const std::string_view error = reply.error();
    const std::string code(error.substr(0, error.find(' ')));
    if (is_passing_trouble(error)) return lost(std::string(error));
    if (step == Greeting::auth) {
      return refused(fmt::format("Redis at {} refuses the user or password of the option redis ({})", address_, code));
    }
    if (step == Greeting::select) {
      return refused(fmt::format("Redis at {} refuses database {}: {}", address_, url_.database, error));
    }
    if (code == "NOAUTH") {
      return refused(
          fmt::format("Redis at {} wants a password: give it as redis://[user]:password@host:port", address_));
    }
    // A user who may not PING is connected none the less, and who cannot write can read.
    if (code != "NOPERM" && code != kCannotSave) return lost(std::string(error));
    if (code == kCannotSave) writes_refused(error);
  } else if (step == Greeting::ping) {
    writes_accepted();
  }
  if (greeting_step_ + 1 < greeting_.size()) return greet_next(greeting_step_ + 1);
  now_up();
}

void RedisClient::now_up() {
  state_ = State::up;
  uv_timer_stop(connect_timer_.get());
  backoff_ = kFirstBackoff;
  row_.redis_state.store(refuses_writes_ ? RedisState::down : RedisState::up, std::memory_order_relaxed);
  if (told_unreachable_) {
    const std::uint64_t away_ms = uv_hrtime() / 1'000'000 - down_since_ms_;
    log_info("Redis is reachable again", {{"address", address_}, {"away_ms", away_ms}});
  }
  first_ = false;
  told_unreachable_ = told_refused_ = false;
  flush_before_poll();  // what waited for the first connection
}

// The attempt has failed, or the connection is broken.
void RedisClient::lost(const std::string& reason) {
  retry_later(reason);
  resume_ready();
}

void RedisClient::refused(const std::string& what) {
  if (!first_) {  // the worker serves without it; what refuses us may be mended
    if (!std::exchange(told_refused_, true)) log_error(what);
    return lost(what);
  }
  disconnect();
  uv_timer_stop(connect_timer_.get());
  state_ = State::waiting;  // for ever: another attempt would be refused as well
  first_ = false;
  row_.redis_state.store(RedisState::down, std::memory_order_relaxed);
  fail_all(what);
  if (on_fatal_) std::exchange(on_fatal_, nullptr)(what);
  resume_ready();
}

// It refuses PING then as it does writes, which tells the end. Until then we do not call it up: sessions cannot be
// kept.
void RedisClient::writes_refused(std::string_view error) {
  if (std::exchange(refuses_writes_, true)) return;
  log_warning("Redis refuses writes", {{"address", address_}, {"reason", error}});
  row_.redis_state.store(RedisState::down, std::memory_order_relaxed);
  uv_timer_start(
      probe_timer_.get(), [](uv_timer_t* timer) { static_cast<RedisClient*>(timer->data)->probe(); }, kProbeEveryMs,
      kProbeEveryMs);
}

void RedisClient::writes_accepted() {
  if (!std::exchange(refuses_writes_, false)) return;
  uv_timer_stop(probe_timer_.get());
  log_info("Redis takes writes again", {{"address", address_}});
  if (state_ == State::up) row_.redis_state.store(RedisState::up, std::memory_order_relaxed);
}

void RedisClient::probe() {
  if (state_ != State::up || (probe_ != UINT64_MAX && probe_ >= front_sequence_)) return;  // the last one is under way
  probe_ = front_sequence_ + pending_.size();
  const std::uint64_t now = uv_hrtime();
  pending_.push_back({nullptr, now});
  append_command(output_, std::array<std::string_view, 1>{"PING"});
  flush_before_poll();
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(sweep_timer_.get())) == 0) arm_sweep(now);
}

void RedisClient::disconnect() noexcept {
  connection_.reset();
  if (prepare_) uv_prepare_stop(prepare_.get());
}

void RedisClient::retry_later(const std::string& reason) {
  if (state_ == State::up) down_since_ms_ = uv_hrtime() / 1'000'000;
  disconnect();
  state_ = State::waiting;
  last_reason_ = reason;

  // Half of it by chance, so that the workers of a server do not all come back in the same moment.
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
    fail_all(fmt::format("Redis at {} is unreachable: {}", address_, reason));
  }
  const auto on_time = [](uv_timer_t* timer) { static_cast<RedisClient*>(timer->data)->connect(); };
  uv_update_time(loop_);
  uv_timer_start(connect_timer_.get(), on_time, static_cast<std::uint64_t>(delay.count()), 0);
}

// ---- commands out

void RedisClient::issue(RedisCall& call, std::span<const std::string_view> words) {
  if (!call.failure_.empty()) return;
  if (const std::string why = obstacle(call, words); !why.empty()) {
    add(row_[Count::redis_errors]);
    return fail(call, why);
  }
  if (call.sent_++ == 0) call.first_sequence_ = front_sequence_ + pending_.size();
  const std::uint64_t now = uv_hrtime();
  pending_.push_back({&call, now});
  append_command(output_, words);
  add(row_[Count::redis_commands]);
  flush_before_poll();
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(sweep_timer_.get())) == 0) arm_sweep(now);
}

// Why a command cannot be sent; empty: it can.
std::string RedisClient::obstacle(const RedisCall& call, std::span<const std::string_view> words) const {
  if (state_ == State::closed) return "the worker is stopping";
  if (state_ != State::up && !first_) {
    return fmt::format("Redis at {} is unreachable: {}", address_, last_reason_);
  }
  // A call that has begun goes on: half of a transaction must not stay on the connection.
  if (call.sent_ == 0 && (pending_.size() >= kMaxPending || output_.size() >= kMaxOutput)) {
    return fmt::format("too much waits for Redis: {} commands", pending_.size());
  }
  std::size_t size = 0;
  for (const std::string_view word : words) size += word.size();
  if (size > kMaxCommand) return "a command for Redis is larger than 512 MiB";
  return {};
}

void RedisClient::flush_before_poll() {
  if (state_ != State::up || output_.empty()) return;
  uv_prepare_start(prepare_.get(), [](uv_prepare_t* prepare) { static_cast<RedisClient*>(prepare->data)->flush(); });
}

void RedisClient::flush() {
  uv_prepare_stop(prepare_.get());
  if (state_ != State::up || output_.empty() || connection_->writing()) return;
  if (const int error = connection_->write(output_); error != 0) lost(uv_strerror(error));
}

// ---- replies in

void RedisClient::received(std::string_view bytes) {
  received_ns_ = uv_hrtime();
  reader_->feed(bytes);
  Reply reply;
  while (connection_ != nullptr) {  // until what a reply says ends it
    const ReplyReader::Next next = reader_->next(reply);
    if (next == ReplyReader::Next::incomplete) break;
    if (next == ReplyReader::Next::malformed) return lost("malformed reply: " + reader_->error());
    if (state_ == State::greeting) {
      greeted(reply);
    } else if (!pending_.empty()) {
      answered(std::move(reply));
    } else {
      // Redis says so before it closes a connection that it does not want.
      return lost(reply.is_error() ? reply.error() : "a reply to no command");
    }
  }
  resume_ready();
}

void RedisClient::answered(Reply reply) {
  const Pending entry = pending_.front();
  pending_.pop_front();
  ++front_sequence_;
  if (expired_ > 0) --expired_;
  const std::uint64_t taken_us = (received_ns_ - std::min(entry.issued_ns, received_ns_)) / 1000;
  const std::uint64_t average = row_[Count::redis_latency].load(std::memory_order_relaxed);
  row_[Count::redis_latency].store(average == 0 ? taken_us : (average * 15 + taken_us) / 16, std::memory_order_relaxed);
  // NOSCRIPT is how a script gets known, not a failure.
  if (reply.is_error() && !reply.error().starts_with("NOSCRIPT")) {
    add(row_[Count::redis_errors]);
    if (reply.error().starts_with(kCannotSave)) writes_refused(reply.error());
  } else if (front_sequence_ - 1 == probe_) {
    writes_accepted();
  }
  const std::string lost_because = is_wrong_server(reply) ? std::string(reply.error()) : std::string();
  if (entry.call != nullptr) give(*entry.call, std::move(reply));
  if (!lost_because.empty()) lost(lost_because);
}

void RedisClient::give(RedisCall& call, Reply reply) {
  call.accept(std::move(reply));
  if (call.outstanding() == 0) make_ready(call);
}

// What a server says that has become a replica, or has lost its master: a new connection may find the right one.
bool RedisClient::is_wrong_server(const Reply& reply) noexcept {
  return reply.is_error() && (reply.error().starts_with("READONLY") || reply.error().starts_with("MASTERDOWN"));
}

// ---- calls

// Its entries in the queue stay, so that their replies are counted off.
void RedisClient::forget(RedisCall& call) noexcept {
  if (call.ready_position_ != SIZE_MAX) ready_[call.ready_position_] = nullptr;
  if (call.sent_ == 0) return;
  const std::uint64_t end = call.first_sequence_ + call.sent_;
  for (std::uint64_t sequence = std::max(call.first_sequence_, front_sequence_); sequence < end; ++sequence) {
    const auto position = static_cast<std::size_t>(sequence - front_sequence_);
    if (position < pending_.size()) pending_[position].call = nullptr;
  }
}

void RedisClient::fail(RedisCall& call, std::string_view why) {
  forget(call);
  call.failure_ = why;
  make_ready(call);
}

void RedisClient::fail_all(std::string_view why) {
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (i >= expired_) add(row_[Count::redis_errors]);
    if (pending_[i].call != nullptr) fail(*pending_[i].call, why);
  }
  front_sequence_ += pending_.size();
  pending_.clear();
  expired_ = 0;
  output_.clear();
  if (sweep_timer_) uv_timer_stop(sweep_timer_.get());
}

void RedisClient::make_ready(RedisCall& call) {
  if (!call.waiting_ || call.ready_position_ != SIZE_MAX) return;  // not awaited yet: await_ready() will see it
  call.ready_position_ = ready_.size();
  ready_.push_back(&call);
}

// Only here does other code run. It may send commands, destroy calls and close this client: the list may change while
// it is gone through.
void RedisClient::resume_ready() {
  if (std::exchange(resuming_, true)) return;  // further up the stack
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    RedisCall* call = std::exchange(ready_[i], nullptr);
    if (call == nullptr) continue;
    call->ready_position_ = SIZE_MAX;
    std::exchange(call->waiting_, nullptr).resume();
  }
  ready_.clear();
  resuming_ = false;
}

// ---- deadlines

std::uint64_t RedisClient::timeout_ns() const noexcept {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(timeout_).count());
}

// When the next command is late; or when the connection is given up, because the oldest reply is late twice over.
std::uint64_t RedisClient::next_expiry_ns() const noexcept {
  std::uint64_t next = UINT64_MAX;
  if (expired_ < pending_.size()) next = pending_[expired_].issued_ns + timeout_ns();
  if (expired_ > 0) next = std::min(next, pending_.front().issued_ns + 2 * timeout_ns());
  return next;
}

void RedisClient::arm_sweep(std::uint64_t now_ns) {
  const std::uint64_t next = next_expiry_ns();
  if (next == UINT64_MAX) return;
  start_sweep(next > now_ns ? (next - now_ns) / 1'000'000 + 1 : 1);
}

void RedisClient::start_sweep(std::uint64_t delay_ms) {
  uv_timer_start(
      sweep_timer_.get(), [](uv_timer_t* timer) { static_cast<RedisClient*>(timer->data)->sweep(); }, delay_ms, 0);
}

void RedisClient::sweep() {
  const std::uint64_t now = uv_hrtime();
  if (next_expiry_ns() > now) {
    last_chance_ = false;
    return arm_sweep(now);
  }
  // When a handler has blocked the loop, the replies lie in the socket, unread: let the loop read them first. Not a
  // timer of 0 ms: libuv 1.44 would run it before it looks at the sockets.
  if (!std::exchange(last_chance_, true)) return start_sweep(1);
  last_chance_ = false;
  expire(now);
  resume_ready();
}

void RedisClient::expire(std::uint64_t now_ns) {
  const std::string why = fmt::format("Redis did not answer within {} ms", timeout_.count());
  while (expired_ < pending_.size() && pending_[expired_].issued_ns + timeout_ns() <= now_ns) {
    add(row_[Count::redis_errors]);
    if (RedisCall* call = pending_[expired_].call) fail(*call, why);
    ++expired_;
  }
  if (state_ == State::up && expired_ > 0 && pending_.front().issued_ns + 2 * timeout_ns() <= now_ns) {
    retry_later(fmt::format("no answer for {} ms", 2 * timeout_.count()));
  } else {
    arm_sweep(now_ns);
  }
}

}  // namespace pronghorn::worker
