// A real redis-server for one test.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

struct RedisOptions {
  std::string password;                // of the default user; empty: none
  bool tcp = false;                    // listen on a free port of 127.0.0.1 too
  std::vector<std::string> arguments;  // more options of redis-server: {"--maxmemory", "64mb"}
};

// redis-server on a Unix socket in a new folder, without persistence: what it held is gone after stop() or kill().
//
// Context: the main thread of a test; the kernel kills the server when that thread ends first.
// Errors:  start and restart throw std::runtime_error, with the server's log, when it does not answer within 10 s.
class RedisProcess {
 public:
  explicit RedisProcess(RedisOptions options = {});
  RedisProcess(const RedisProcess&) = delete;
  RedisProcess& operator=(const RedisProcess&) = delete;
  ~RedisProcess();  // kills it and removes its folder

  [[nodiscard]] std::string socket() const { return directory_ / "redis.sock"; }
  // For the option `redis`: "unix:PATH". Without the password: Unix sockets carry none in a URL.
  [[nodiscard]] std::string url() const { return "unix:" + socket(); }
  // "redis://[:password@]127.0.0.1:PORT"; only with `tcp`. The same after a restart.
  [[nodiscard]] std::string tcp_url() const;
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] std::string log() const { return read_file(directory_ / "log"); }

  void stop();     // TERM, as an operator would
  void kill();     // KILL, as a crash would
  void restart();  // starts it again, empty; kills it first when it still runs

  // Sends one command over a connection of its own and returns the reply as text: a string as it is, an integer in
  // decimal, nil as "(nil)", an error as "-ERR …", an array as its elements separated by '\n'. Throws
  // std::runtime_error when the server cannot be reached or does not answer within 10 s.
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
