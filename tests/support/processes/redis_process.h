// Runs a redis-server for one test.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/processes/process.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

struct RedisOptions {
  std::string password;                // of the default user; empty: none
  bool tcp = false;                    // listen on a free port of 127.0.0.1 too
  std::vector<std::string> arguments;  // more options of redis-server: {"--maxmemory", "64mb"}
  std::string configuration = {};      // text of a configuration file, which it may rewrite; empty: none
  std::vector<std::string> tls = {};   // certificates (TestAuthority): the TCP port speaks TLS; empty: it is plain
};

// A port that is free now. Another process may take it before the caller does.
[[nodiscard]] std::uint16_t free_port();

// A redis-server on a Unix socket in a new folder, without persistence: stop() and kill() lose its data.
//
// Context: the main thread of a test. The kernel kills the server if that thread ends first.
// Errors:  the constructor and restart() throw std::runtime_error with the server's log if it does not answer in 10 s.
class RedisProcess {
 public:
  explicit RedisProcess(RedisOptions options = {});
  RedisProcess(const RedisProcess&) = delete;
  RedisProcess& operator=(const RedisProcess&) = delete;
  ~RedisProcess();  // kills it and removes its folder

  [[nodiscard]] std::string socket() const { return directory_ / "redis.sock"; }
  // Value for the option `redis`: "unix:PATH". It has no password: URLs of Unix sockets cannot carry one.
  [[nodiscard]] std::string url() const { return "unix:" + socket(); }
  // "redis://[:password@]127.0.0.1:PORT", with TLS "rediss://…"; only with `tcp`. Does not change with restart().
  [[nodiscard]] std::string tcp_url() const;
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] std::string log() const { return read_file(directory_ / "log"); }

  void stop();     // sends TERM and waits
  void kill();     // sends KILL and waits
  void restart();  // kills the server if it runs, and starts an empty one
  // Other certificates, from the next start on.
  void use_tls(std::vector<std::string> arguments) { options_.tls = std::move(arguments); }

  // Sends one command on a new connection and returns the reply as text: an integer in decimal, nil as "(nil)", an
  // error as "-ERR …", an array as its elements separated by '\n'. Throws std::runtime_error if the server does not
  // answer within 10 s.
  std::string command(const std::vector<std::string>& words) const;

 private:
  void start();
  [[nodiscard]] bool answers() const;

  RedisOptions options_;
  TempDir directory_;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace pronghorn::test
