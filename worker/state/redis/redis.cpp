#include "pronghorn/redis.h"

#include <charconv>
#include <span>
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

Task<Reply> run_one(worker::RedisClient& client, Command command) {
  worker::require_shareable(std::span(&command, 1));
  worker::RedisCall call(client);
  call.send(command);
  co_await call;
  worker::require_success(call.reply());
  co_return std::move(call.reply());
}

Task<std::vector<Reply>> run_all(worker::RedisClient& client, std::vector<Command> commands) {
  worker::require_shareable(commands);
  worker::RedisCall call(client);
  for (const Command& command : commands) call.send(command);
  co_await call;
  std::vector<Reply> replies;
  replies.reserve(commands.size());
  for (std::size_t i = 0; i < commands.size(); ++i) replies.push_back(std::move(call.reply(i)));
  co_return replies;
}

Task<Reply> run_owned(worker::RedisClient& client, const Script& script, std::vector<std::string> keys,
                      std::vector<std::string> args) {
  const std::vector<std::string_view> key_views = views(keys);
  const std::vector<std::string_view> arg_views = views(args);
  Task<Reply> running = worker::run_script(client, script, key_views, arg_views);
  Reply reply = co_await std::move(running);
  worker::require_success(reply);
  co_return reply;
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

// The tasks refer to the client, not to this handle, which may be a temporary.
Task<Reply> Redis::run(Command command) { return run_one(inner(*client_), std::move(command)); }

Task<std::vector<Reply>> Redis::pipeline(std::vector<Command> commands) {
  return run_all(inner(*client_), std::move(commands));
}

Task<Reply> Redis::script(const Script& script, std::vector<std::string> keys, std::vector<std::string> args) {
  return run_owned(inner(*client_), script, std::move(keys), std::move(args));
}

bool Redis::connected() const noexcept { return inner(*client_).up(); }

}  // namespace pronghorn
