#include "pronghorn/redis.h"

#include <charconv>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/state/keys/digest.h"
#include "worker/state/redis/command_guard.h"
#include "worker/state/redis/link/reply_errors.h"
#include "worker/state/redis/redis_client.h"
#include "worker/state/redis/run_script.h"

namespace pronghorn {
namespace {

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

Task<Reply> run_one(worker::RedisClient& client, worker::CallOptions options, Command command) {
  worker::require_shareable(std::span(&command, 1));
  worker::RedisCall call(client, options);
  call.send(command);
  co_await call;
  worker::require_success(call.reply());
  co_return std::move(call.reply());
}

Task<std::vector<Reply>> run_all(worker::RedisClient& client, worker::CallOptions options,
                                 std::vector<Command> commands) {
  worker::require_shareable(commands);
  worker::RedisCall call(client, options);
  for (const Command& command : commands) call.send(command);
  co_await call;
  std::vector<Reply> replies;
  replies.reserve(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) replies.push_back(std::move(call.reply(i)));
  co_return replies;
}

Task<Reply> run_owned(worker::RedisClient& client, worker::CallOptions options, const Script& script,
                      std::vector<std::string> keys, std::vector<std::string> args) {
  const std::vector<std::string_view> key_views = views(keys);
  const std::vector<std::string_view> arg_views = views(args);
  Task<Reply> running = worker::run_script(client, script, key_views, arg_views, options);
  Reply reply = co_await std::move(running);
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

const std::string& Reply::string() const {
  if (const auto* text = std::get_if<std::string>(&value_)) return *text;
  throw_wrong_kind(*this, "a string");
}

const Reply::Array& Reply::array() const {
  if (const auto* values = std::get_if<Array>(&value_)) return *values;
  throw_wrong_kind(*this, "an array");
}

const std::string& Reply::error() const {
  if (const auto* failure = std::get_if<Error>(&value_)) return failure->message;
  throw_wrong_kind(*this, "an error");
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
