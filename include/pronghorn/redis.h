// Redis from a handler: any command, pipelines and scripts, over the worker's one pipelined connection.
//
// Context: the worker's loop thread. All commands issued in one turn of the loop are sent in one write.
//
// All handlers of a worker share the connection. Commands that would change it for the others, or make them wait, throw
// RedisError before anything is sent: subscriptions and MONITOR, blocking reads (BLPOP, XREAD BLOCK ...), WAIT, WATCH,
// AUTH, SELECT, HELLO, RESET, QUIT, CLIENT REPLY, and MULTI unless the same pipeline() also ends it.
#pragma once

#include <charconv>
#include <cstdint>
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
  [[nodiscard]] const std::string& string() const;
  [[nodiscard]] const Array& array() const;
  [[nodiscard]] const std::string& error() const;

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

  template <class T>
  Command& add(const T& word) {
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

 private:
  std::string source_;
  std::string sha1_;  // 40 hex digits
};

// A handle to the worker's connection: cheap to copy, valid for the life of the worker.
class PRONGHORN_API Redis {
 public:
  explicit Redis(detail::RedisClient& client) noexcept : client_(&client) {}

  // Sends one command and yields its reply. Throws RedisUnavailable, or RedisError for an error reply.
  template <class... Args>
  [[nodiscard]] Task<Reply> command(const Args&... args) {
    return run(Command(args...));
  }
  [[nodiscard]] Task<Reply> run(Command command);

  // Sends all commands at once and yields their replies in the same order. An error from Redis is an error Reply, not
  // an exception. Throws RedisUnavailable. Not atomic unless the commands include MULTI and EXEC.
  [[nodiscard]] Task<std::vector<Reply>> pipeline(std::vector<Command> commands);

  // Runs a script atomically: one round trip, two the first time. `script` must outlive the task. Throws like
  // command().
  [[nodiscard]] Task<Reply> script(const Script& script, std::vector<std::string> keys,
                                   std::vector<std::string> args = {});

  // Whether a connection is up and logged in.
  [[nodiscard]] bool connected() const noexcept;

 private:
  detail::RedisClient* client_;
};

}  // namespace pronghorn
