#include "pronghorn/redis.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/timer.h"
#include "worker/state/keys/digest.h"
#include "worker/state/redis/commands/command_guard.h"
#include "worker/state/redis/commands/stale_reads.h"
#include "worker/state/redis/own_connections.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"
#include "worker/state/redis/slots/command_keys.h"
#include "worker/state/redis/slots/slot_map.h"

namespace pronghorn {
namespace {

using Clock = std::chrono::steady_clock;

// Before a command with two keys whose slot is moving is sent again.
constexpr std::chrono::milliseconds kTryAgainAfter{50};

[[noreturn]] void throw_wrong_kind(const Reply& reply, const char* wanted) {
  worker::require_success(reply);
  const char* kind = reply.is_nil()       ? "nil"
                     : reply.is_integer() ? "an integer"
                     : reply.is_array()   ? "an array"
                                          : "a string";
  throw RedisError(std::string("Redis replied with ") + kind + ", expected " + wanted);
}

worker::RedisClient& inner(detail::RedisClient& client) noexcept { return static_cast<worker::RedisClient&>(client); }

std::vector<std::string_view> views(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

// For what a replica leaves to the primary: within the time that the commands had from `started` on.
worker::CallOptions options_for_primary(const worker::RedisClient& client, const worker::CallOptions& options,
                                        std::chrono::steady_clock::time_point started) {
  return {.until = std::min(options.until, started + client.timeout()), .may_be_stale = false};
}

// Names the keys of the command in an error that is about one of them.
Reply& with_keys(Reply& reply, const Command& command) {
  if (!reply.is_error()) return reply;
  const std::vector<std::string_view> words = views(command.words());
  const worker::KeyRange range = worker::command_keys(words);
  std::vector<std::string_view> keys;
  for (std::size_t i = 0; i < range.count; ++i) keys.push_back(words[range.first + i * range.step]);
  worker::name_keys(reply, keys);
  return reply;
}

Task<std::vector<Reply>> run_all(worker::RedisClient& client, worker::CallOptions options,
                                 std::vector<Command> commands) {
  worker::require_shareable(commands);
  options.may_be_stale = options.may_be_stale && client.has_replicas() && worker::may_go_to_replica(commands);
  const auto started = options.may_be_stale ? std::chrono::steady_clock::now() : options.until;
  worker::RedisCall call(client, options);
  for (const Command& command : commands) call.send(command);
  co_await call;
  if (options.may_be_stale) {
    const std::vector<std::size_t> left = worker::left_to_primary(commands, call);
    worker::RedisCall rest(client, options_for_primary(client, options, started));
    for (const std::size_t index : left) rest.send(commands[index]);
    co_await rest;
    for (std::size_t i = 0; i < left.size(); ++i) call.reply(left[i]) = std::move(rest.reply(i));
  }
  std::vector<Reply> replies;
  replies.reserve(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) replies.push_back(std::move(with_keys(call.reply(i), commands[i])));
  co_return replies;
}

// On a connection of its own, for as long as the command waits. `asking`: the node is taking the slot over.
Task<Reply> wait_at(worker::RedisClient& client, const worker::RedisTarget& target, worker::CallOptions options,
                    const Command& command, bool asking) {
  const worker::OwnConnections::Lease own = client.own_connections().take(target);
  worker::RedisCall call(own.node(), options);
  if (asking) call.send({"ASKING"});
  call.send(command);
  co_await call;
  co_return std::move(call.reply(asking ? 1 : 0));
}

// Redirections of a command that waits. Those in a row have the time of one command.
class RedirectsInARow {
 public:
  explicit RedirectsInARow(std::chrono::milliseconds limit) : limit_(limit) {}

  // Whether to follow one that has just come. `sent`: when the command was sent that it answers.
  bool follow(const worker::Redirect& redirect, Clock::time_point sent) {
    const auto now = Clock::now();
    if (now - sent > limit_) {  // the command has waited before it came
      began_ = now;
      count_ = 0;
    }
    if (redirect.kind != worker::Redirect::Kind::try_again) ++count_;
    return count_ <= worker::ClusterRouter::kMaxRedirects && now - began_ <= limit_;
  }

 private:
  std::chrono::milliseconds limit_;
  Clock::time_point began_ = Clock::now();
  std::uint32_t count_ = 0;
};

// Follows redirections, also those that come while it waits, because the slot of its key moves.
Task<Reply> run_waiting(worker::RedisClient& client, worker::CallOptions options, Command command,
                        std::chrono::milliseconds wait) {
  const bool endless = wait == std::chrono::milliseconds::max();
  const auto began = Clock::now();
  if (!endless) options.until = std::min(options.until, began + wait + client.timeout());
  auto target = client.target_for(worker::command_slot(views(command.words())).key);
  if (!target) throw RedisUnavailable(target.error());
  RedirectsInARow redirects(client.timeout());
  for (bool asking = false;;) {
    const auto sent = Clock::now();
    Task<Reply> waiting = wait_at(client, *target, options, command, asking);
    Reply reply = co_await std::move(waiting);
    auto redirect = reply.is_error() && client.is_cluster() ? worker::parse_redirect(reply.error()) : std::nullopt;
    // UNBLOCKED: the server has become a replica.
    const bool is_over = reply.is_error() && reply.error().starts_with("UNBLOCKED");
    if (is_over || (redirect && !redirects.follow(*redirect, sent))) throw RedisUnavailable(reply.error());
    if (!redirect) {
      worker::require_success(with_keys(reply, command));
      co_return reply;
    }
    if (!endless) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(began + wait - Clock::now());
      command = worker::with_waiting_time(command, std::max(left, std::chrono::milliseconds(1)));
    }
    if (redirect->kind == worker::Redirect::Kind::try_again) {
      co_await sleep_for(kTryAgainAfter);
      target = client.target_for(worker::command_slot(views(command.words())).key);
      if (!target) throw RedisUnavailable(target.error());
      asking = false;
      continue;
    }
    asking = redirect->kind == worker::Redirect::Kind::ask;
    if (redirect->to.host.empty()) redirect->to.host = target->url.host;
    target = client.redirected_target(*redirect);
  }
}

Task<Reply> run_one(worker::RedisClient& client, worker::CallOptions options, Command command) {
  if (const auto wait = worker::waiting_time(command)) {
    Task<Reply> running = run_waiting(client, options, std::move(command), *wait);
    co_return co_await std::move(running);
  }
  if (options.may_be_stale) {
    Task<std::vector<Reply>> running = run_all(client, options, {std::move(command)});
    std::vector<Reply> replies = co_await std::move(running);
    worker::require_success(replies[0]);
    co_return std::move(replies[0]);
  }
  worker::require_shareable(std::span(&command, 1));
  worker::RedisCall call(client, options);
  call.send(command);
  co_await call;
  worker::require_success(with_keys(call.reply(), command));
  co_return std::move(call.reply());
}

Task<Reply> run_owned(worker::RedisClient& client, worker::CallOptions options, const Script& script,
                      std::vector<std::string> keys, std::vector<std::string> args) {
  const std::vector<std::string_view> key_views = views(keys);
  const std::vector<std::string_view> arg_views = views(args);
  options.may_be_stale = options.may_be_stale && client.has_replicas();
  const auto started = options.may_be_stale ? std::chrono::steady_clock::now() : options.until;
  Task<Reply> running = worker::run_script(client, script, key_views, arg_views, options);
  Reply reply = co_await std::move(running);
  if (options.may_be_stale && worker::is_left_to_primary(reply)) {
    running = worker::run_script(client, script, key_views, arg_views, options_for_primary(client, options, started));
    reply = co_await std::move(running);
  }
  worker::require_success(reply);
  co_return reply;
}

Task<std::optional<std::string>> text_of(Task<Reply> running) {
  Reply reply = co_await std::move(running);
  if (reply.is_nil()) co_return std::nullopt;
  co_return reply.string();
}

Task<std::int64_t> number_of(Task<Reply> running) {
  const Reply reply = co_await std::move(running);
  co_return reply.integer();
}

Task<bool> truth_of(Task<Reply> running) {
  const Reply reply = co_await std::move(running);
  co_return !reply.is_nil() && (!reply.is_integer() || reply.integer() != 0);
}

Task<void> done_with(Task<Reply> running) { co_await std::move(running); }

Task<std::vector<std::pair<std::string, std::string>>> pairs_of(Task<Reply> running) {
  const Reply reply = co_await std::move(running);
  const Reply::Array& words = reply.array();
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) pairs.emplace_back(words[i].string(), words[i + 1].string());
  co_return pairs;
}

std::int64_t positive(std::chrono::milliseconds ttl) {
  if (ttl.count() <= 0) throw std::invalid_argument("the time to live of a key must be positive");
  return ttl.count();
}

}  // namespace

std::int64_t Reply::integer() const {
  if (const auto* value = std::get_if<std::int64_t>(&value_)) return *value;
  if (const auto* text = std::get_if<std::string>(&value_)) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error == std::errc{} && end == text->data() + text->size()) return value;
  }
  throw_wrong_kind(*this, "an integer");
}

const std::string& Reply::string() const& {
  if (const auto* text = std::get_if<std::string>(&value_)) return *text;
  throw_wrong_kind(*this, "a string");
}

const Reply::Array& Reply::array() const& {
  if (const auto* values = std::get_if<Array>(&value_)) return *values;
  throw_wrong_kind(*this, "an array");
}

const std::string& Reply::error() const {
  if (const auto* failure = std::get_if<Error>(&value_)) return failure->message;
  throw_wrong_kind(*this, "an error");
}

std::string Reply::string() && {
  static_cast<void>(std::as_const(*this).string());
  return std::move(std::get<std::string>(value_));
}

Reply::Array Reply::array() && {
  static_cast<void>(std::as_const(*this).array());
  return std::move(std::get<Array>(value_));
}

Script::Script(std::string source) : source_(std::move(source)), sha1_(worker::sha1_hex(source_)) {}

Command Script::command(const std::vector<std::string>& keys, const std::vector<std::string>& args) const {
  std::vector<std::string> words{"EVAL", source_, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  return Command(std::move(words));
}

// The tasks refer to the client, not to this handle, which may be a temporary.
Task<Reply> Redis::run(Command command) {
  return run_one(inner(*client_), {until_, may_be_stale_}, std::move(command));
}

Task<std::vector<Reply>> Redis::pipeline(std::vector<Command> commands) {
  return run_all(inner(*client_), {until_, may_be_stale_}, std::move(commands));
}

Task<Reply> Redis::script(const Script& script, std::vector<std::string> keys, std::vector<std::string> args) {
  return run_owned(inner(*client_), {until_, may_be_stale_}, script, std::move(keys), std::move(args));
}

Task<std::optional<std::string>> Redis::get(std::string key) { return text_of(run(Command("GET", key))); }
Task<void> Redis::set(std::string key, std::string value) { return done_with(run(Command("SET", key, value))); }
Task<void> Redis::set(std::string key, std::string value, std::chrono::milliseconds ttl) {
  return done_with(run(Command("SET", key, value, "PX", positive(ttl))));
}
Task<bool> Redis::set_if_absent(std::string key, std::string value, std::chrono::milliseconds ttl) {
  return truth_of(run(Command("SET", key, value, "PX", positive(ttl), "NX")));
}
Task<bool> Redis::del(std::string key) { return truth_of(run(Command("DEL", key))); }
Task<bool> Redis::exists(std::string key) { return truth_of(run(Command("EXISTS", key))); }
Task<std::int64_t> Redis::incr(std::string key, std::int64_t by) { return number_of(run(Command("INCRBY", key, by))); }
Task<bool> Redis::expire(std::string key, std::chrono::milliseconds ttl) {
  return truth_of(run(Command("PEXPIRE", key, positive(ttl))));
}
Task<std::optional<std::string>> Redis::hget(std::string key, std::string field) {
  return text_of(run(Command("HGET", key, field)));
}
Task<void> Redis::hset(std::string key, std::string field, std::string value) {
  return done_with(run(Command("HSET", key, field, value)));
}
Task<bool> Redis::hdel(std::string key, std::string field) { return truth_of(run(Command("HDEL", key, field))); }
Task<std::int64_t> Redis::hincr(std::string key, std::string field, std::int64_t by) {
  return number_of(run(Command("HINCRBY", key, field, by)));
}
Task<std::vector<std::pair<std::string, std::string>>> Redis::hget_all(std::string key) {
  return pairs_of(run(Command("HGETALL", key)));
}

bool Redis::connected() const noexcept { return inner(*client_).up(); }

}  // namespace pronghorn
