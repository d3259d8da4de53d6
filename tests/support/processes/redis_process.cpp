#include "support/processes/redis_process.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace pronghorn::test {
namespace {

// A blocking connection that speaks as much of the protocol as tests need.
class TestConnection {
 public:
  explicit TestConnection(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      const int error = errno;
      if (fd_ >= 0) ::close(fd_);
      throw std::runtime_error(std::string("cannot connect to redis-server: ") + std::strerror(error));
    }
  }
  TestConnection(const TestConnection&) = delete;
  TestConnection& operator=(const TestConnection&) = delete;
  ~TestConnection() { ::close(fd_); }

  std::string command(const std::vector<std::string>& words) {
    std::string request = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    for (std::size_t sent = 0; sent < request.size();) {
      const ssize_t count = ::send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) throw std::runtime_error("redis-server closed the connection");
      sent += static_cast<std::size_t>(count);
    }
    return reply();
  }

 private:
  char next() {
    if (read_ == buffer_.size()) {
      pollfd readable{fd_, POLLIN, 0};
      if (::poll(&readable, 1, 10'000) <= 0) throw std::runtime_error("redis-server does not answer");
      buffer_.resize(4096);
      const ssize_t count = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
      buffer_.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
      read_ = 0;
      if (count <= 0) throw std::runtime_error("redis-server closed the connection");
    }
    return buffer_[read_++];
  }
  std::string line() {
    std::string text;
    for (char byte = next(); byte != '\n'; byte = next()) text += byte;
    text.pop_back();  // the CR
    return text;
  }
  std::string reply() {
    const std::string head = line();
    const std::string_view value = std::string_view(head).substr(1);
    if (head[0] == '-') return head;
    if (head[0] == '+' || head[0] == ':') return std::string(value);
    const long count = std::stol(std::string(value));
    if (count < 0) return "(nil)";
    std::string text;
    if (head[0] == '$') {
      for (long i = 0; i < count; ++i) text += next();
      line();
      return text;
    }
    for (long i = 0; i < count; ++i) text += (i > 0 ? "\n" : "") + reply();
    return text;
  }

  int fd_;
  std::string buffer_;
  std::size_t read_ = 0;
};

}  // namespace

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot find a free port");
  }
  ::close(fd);
  return ntohs(address.sin_port);
}

RedisProcess::RedisProcess(RedisOptions options) : options_(std::move(options)) {
  for (int attempts_left = 3;; --attempts_left) {
    if (options_.tcp) port_ = free_port();
    try {
      start();
      return;
    } catch (const std::runtime_error&) {
      if (!options_.tcp || attempts_left == 1) throw;  // else: perhaps the port was taken meanwhile
    }
  }
}

RedisProcess::~RedisProcess() { kill(); }

std::string RedisProcess::tcp_url() const {
  const std::string password = options_.password.empty() ? "" : ":" + options_.password + "@";
  return (options_.tls.empty() ? "redis://" : "rediss://") + password + "127.0.0.1:" + std::to_string(port_);
}

void RedisProcess::start() {
  std::vector<std::string> command{"redis-server",
                                   options_.tls.empty() ? "--port" : "--tls-port",
                                   std::to_string(port_),
                                   "--bind",
                                   "127.0.0.1",
                                   "--unixsocket",
                                   socket(),
                                   "--unixsocketperm",
                                   "700",
                                   "--save",
                                   "",
                                   "--dir",
                                   directory_.path(),
                                   "--appendonly",
                                   "no"};
  if (!options_.configuration.empty()) {
    std::ofstream(directory_ / "redis.conf") << options_.configuration;
    command.insert(command.begin() + 1, directory_ / "redis.conf");
  }
  if (!options_.password.empty()) command.insert(command.end(), {"--requirepass", options_.password});
  if (!options_.tls.empty()) command.insert(command.end(), {"--port", "0"});
  command.insert(command.end(), options_.tls.begin(), options_.tls.end());
  command.insert(command.end(), options_.arguments.begin(), options_.arguments.end());
  ProgramOptions program;
  program.command = std::move(command);
  program.directory = directory_.path();
  program.output_file = directory_ / "log";
  pid_ = start_program(program);
  if (!eventually(10s, [this] { return answers() || !is_running(pid_); }, 2ms) || !is_running(pid_)) {
    kill();
    throw std::runtime_error("redis-server does not start:\n" + log());
  }
}

bool RedisProcess::answers() const {
  try {
    return command({"PING"}) == "PONG";
  } catch (const std::runtime_error&) {
    return false;
  }
}

void RedisProcess::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGTERM);
  if (wait_exit(pid_, 10s)) {
    pid_ = -1;
  } else {
    kill();
  }
}

void RedisProcess::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  (void)wait_exit(pid_, 10s);
  pid_ = -1;
  // A killed server leaves its socket file behind, which would look like the next server's.
  ::unlink(socket().c_str());
}

void RedisProcess::restart() {
  kill();
  start();
}

std::string RedisProcess::command(const std::vector<std::string>& words) const {
  TestConnection connection(socket());
  if (!options_.password.empty()) {
    const std::string reply = connection.command({"AUTH", options_.password});
    if (reply != "OK") throw std::runtime_error("redis-server refuses the password: " + reply);
  }
  return connection.command(words);
}

}  // namespace pronghorn::test
