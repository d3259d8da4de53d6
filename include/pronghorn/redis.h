// Redis from a handler: any command, pipelines and scripts, over the worker's one pipelined connection, or one to each
// node of a Redis Cluster.
//
// In a cluster, a command goes to the node that serves the slot of its keys, so all keys of a command, of a script and
// of MULTI … EXEC must be in one slot: give them the same hash tag, the text in the first braces: "{user:7}:cart" and
// "{user:7}:name". Otherwise RedisError names two of them. A pipeline() may go to several nodes; its replies are in
// order. Commands without keys (SCAN, DBSIZE, FLUSHALL ...) reach one node, which answers for itself alone.
//
// Context: the worker's loop thread. All commands issued in one turn of the loop are sent in one write.
//
// All handlers of a worker share the connection. Commands that would change it for the others, or make them wait, throw
// RedisError before anything is sent: subscriptions and MONITOR, WAIT, WATCH, AUTH, SELECT, HELLO, RESET, QUIT, CLIENT
// REPLY, TRACKING and CACHING, MULTI unless the same pipeline() also ends it. Blocking reads (BLPOP, XREAD BLOCK ...):
// see Redis::run().
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "pronghorn/detail/export.h"
#include "pronghorn/task.h"

namespace pronghorn {

namespace detail {
class RedisClient;
struct ReplyBuilder;
}  // namespace detail

// Redis replied with an error, or with a reply of another kind than the caller asked for. If no handler catches it, the
// client gets 500.
class PRONGHORN_API RedisError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Redis is unreachable, the deadline of the command (option redis_timeout) passed, or Redis cannot serve at the moment
// (LOADING, READONLY, OOM …). The command may or may not have been executed. If no handler catches it, the client gets
// 503 with Retry-After.
class PRONGHORN_API RedisUnavailable : public RedisError {
 public:
  using RedisError::RedisError;
};

// One reply, a value that owns its text. A status such as "OK" is a string.
class PRONGHORN_API Reply {
 public:
  using Array = std::vector<Reply>;
  struct Error {
    std::string message;
  };

  Reply() noexcept = default;  // nil
  explicit Reply(std::int64_t value) : value_(value) {}
  explicit Reply(std::string value) : value_(std::move(value)) {}
  explicit Reply(Array value) : value_(std::move(value)) {}
  explicit Reply(Error error) : value_(std::move(error)) {}

  [[nodiscard]] bool is_nil() const noexcept { return std::holds_alternative<std::monostate>(value_); }
  [[nodiscard]] bool is_error() const noexcept { return std::holds_alternative<Error>(value_); }
  [[nodiscard]] bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }
  [[nodiscard]] bool is_integer() const noexcept { return std::holds_alternative<std::int64_t>(value_); }
  [[nodiscard]] bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }

  // Each throws if the reply is of another kind: what command() would throw for an error reply, RedisError otherwise.
  // integer() also parses a string that holds a decimal integer.
  [[nodiscard]] std::int64_t integer() const;
  [[nodiscard]] const std::string& string() const&;
  [[nodiscard]] const Array& array() const&;
  [[nodiscard]] const std::string& error() const;
  // Of a temporary: for (const Reply& id : (co_await redis.command("SMEMBERS", "ids")).array()) ...
  [[nodiscard]] std::string string() &&;
  [[nodiscard]] Array array() &&;

 private:
  friend struct detail::ReplyBuilder;
  std::variant<std::monostate, std::int64_t, std::string, Array, Error> value_;
};

// A command: its name and its arguments, which may hold any bytes. Numbers are written in decimal.
class PRONGHORN_API Command {
 public:
  template <class... Args>
    requires(sizeof...(Args) > 0)
  explicit Command(const Args&... args) {
    words_.reserve(sizeof...(Args));
    (add(args), ...);
  }
  explicit Command(std::vector<std::string> words) : words_(std::move(words)) {}

  // Appends one argument: text or a number.
  template <class T>
  Command& add(const T& word) & {
    if constexpr (std::is_floating_point_v<T>) {
      char text[64];  // the shortest text that reads back as the same number
      words_.emplace_back(text, std::to_chars(text, text + sizeof text, word).ptr);
    } else if constexpr (std::is_arithmetic_v<T>) {
      words_.push_back(std::to_string(word));
    } else {
      words_.emplace_back(std::string_view(word));
    }
    return *this;
  }
  template <class T>
  [[nodiscard]] Command add(const T& word) && {
    return std::move(add(word));
  }
  [[nodiscard]] const std::vector<std::string>& words() const noexcept { return words_; }

 private:
  std::vector<std::string> words_;
};

// A Lua script. Only its SHA-1 is sent, unless Redis does not know the script yet. Construct one per script and reuse
// it.
class PRONGHORN_API Script {
 public:
  explicit Script(std::string source);
  [[nodiscard]] const std::string& source() const noexcept { return source_; }
  [[nodiscard]] const std::string& sha1() const noexcept { return sha1_; }

  // The script as a command for pipeline(), also between MULTI and EXEC. It carries the whole source, so it keeps its
  // place and needs no second attempt, whatever Redis remembers.
  [[nodiscard]] Command command(const std::vector<std::string>& keys, const std::vector<std::string>& args = {}) const;

 private:
  std::string source_;
  std::string sha1_;  // 40 hex digits
};

// A handle to the worker's connections: cheap to copy, valid for the life of the worker.
//
// Every command has the deadline of the option redis_timeout. request.redis() gives a handle whose commands wait no
// longer than what is left until request.deadline(); for work that outlives the request, use worker.redis().
class PRONGHORN_API Redis {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit Redis(detail::RedisClient& client) noexcept : client_(&client) {}

  // The same with another deadline: commands that are not answered by `time` throw RedisUnavailable then.
  [[nodiscard]] Redis until(TimePoint time) const noexcept {
    Redis handle(*this);
    handle.until_ = time;
    return handle;
  }
  // The same for reads that may be stale: in a cluster and with sentinels they go to a replica if one can be reached. A
  // command that the replica refuses, such as a write, is sent to the primary. A replica may lag behind by any time
  // while it cannot reach its primary. With one server nothing changes.
  [[nodiscard]] Redis prefer_replica() const noexcept {
    Redis handle(*this);
    handle.may_be_stale_ = true;
    return handle;
  }

  // Sends one command and yields its reply. Throws RedisUnavailable, or RedisError for an error reply.
  template <class... Args>
  [[nodiscard]] Task<Reply> command(const Args&... args) {
    return run(Command(args...));
  }
  [[nodiscard]] Task<Reply> run(Command command);  // one that waits, such as BLPOP, gets a connection of its own

  // Sends all commands at once and yields their replies in the same order. An error from Redis is an error Reply, not
  // an exception. Throws RedisUnavailable. Not atomic unless the commands include MULTI and EXEC. (GCC 12 does not
  // compile a list in braces inside a co_await: make the vector first, here and for script().)
  [[nodiscard]] Task<std::vector<Reply>> pipeline(std::vector<Command> commands);

  // Runs a script atomically: one round trip, two the first time. `script` must outlive the task. Throws like
  // command().
  [[nodiscard]] Task<Reply> script(const Script& script, std::vector<std::string> keys,
                                   std::vector<std::string> args = {});

  // The usual commands. Each throws like command(). A time to live must be positive, else std::invalid_argument.
  [[nodiscard]] Task<std::optional<std::string>> get(std::string key);
  [[nodiscard]] Task<void> set(std::string key, std::string value);
  [[nodiscard]] Task<void> set(std::string key, std::string value, std::chrono::milliseconds ttl);
  // Whether it was absent and is set now.
  [[nodiscard]] Task<bool> set_if_absent(std::string key, std::string value, std::chrono::milliseconds ttl);
  [[nodiscard]] Task<bool> del(std::string key);  // whether it existed
  [[nodiscard]] Task<bool> exists(std::string key);
  [[nodiscard]] Task<std::int64_t> incr(std::string key, std::int64_t by = 1);      // yields the new value
  [[nodiscard]] Task<bool> expire(std::string key, std::chrono::milliseconds ttl);  // whether it exists
  [[nodiscard]] Task<std::optional<std::string>> hget(std::string key, std::string field);
  [[nodiscard]] Task<void> hset(std::string key, std::string field, std::string value);
  [[nodiscard]] Task<bool> hdel(std::string key, std::string field);  // whether it existed
  [[nodiscard]] Task<std::int64_t> hincr(std::string key, std::string field, std::int64_t by = 1);  // the new value
  // Fields and values, in no order; empty if there is no such key.
  [[nodiscard]] Task<std::vector<std::pair<std::string, std::string>>> hget_all(std::string key);

  // Whether a connection is up and logged in. Of a cluster: whether a primary can be reached.
  [[nodiscard]] bool connected() const noexcept;

 private:
  detail::RedisClient* client_;
  TimePoint until_ = TimePoint::max();
  bool may_be_stale_ = false;
};

}  // namespace pronghorn
