// A server that answers commands of Redis as a test wants: a proxy, or something that only resembles Redis.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

// Serves any number of connections, and answers each command with what `answer` makes of its words.
class AnsweringServer {
 public:
  using Answer = std::function<std::string(const std::vector<std::string>&)>;

  enum class On { unix_socket, tcp };

  explicit AnsweringServer(Answer answer, On on = On::unix_socket)
      : answer_(std::move(answer)), fd_(::socket(on == On::tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0)) {
    if (on == On::tcp) {
      sockaddr_in address{};
      socklen_t size = sizeof address;
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
      REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
      port_ = ntohs(address.sin_port);
    } else {
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      const std::string path = socket();
      path.copy(address.sun_path, sizeof address.sun_path - 1);
      REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    REQUIRE(::listen(fd_, 16) == 0);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  // After the workers have closed their connections.
  ~AnsweringServer() {
    ::shutdown(fd_, SHUT_RDWR);
    acceptor_.join();
    for (std::thread& each : connections_) each.join();
    ::close(fd_);
  }
  [[nodiscard]] std::string socket() const { return directory_ / "s"; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  void accept_all() {
    for (int client = 0; (client = ::accept(fd_, nullptr, nullptr)) >= 0;) {
      connections_.emplace_back([this, client] { serve(client); });
    }
  }
  void serve(int client) {
    std::string input;
    char bytes[4096];
    for (ssize_t size = 0; (size = ::read(client, bytes, sizeof bytes)) > 0;) {
      input.append(bytes, static_cast<std::size_t>(size));
      while (const auto words = take_command(input)) {
        const std::string reply = answer_(*words);
        if (::send(client, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) break;
      }
    }
    ::close(client);
  }
  // "*2\r\n$4\r\nPING\r\n…": nothing while it is not complete.
  static std::optional<std::vector<std::string>> take_command(std::string& input) {
    std::size_t at = 0;
    const auto number = [&]() -> std::optional<std::size_t> {
      const std::size_t end = input.find("\r\n", at);
      if (end == std::string::npos) return std::nullopt;
      std::size_t value = 0;
      std::from_chars(input.data() + at + 1, input.data() + end, value);
      at = end + 2;
      return value;
    };
    const auto count = number();
    if (!count) return std::nullopt;
    std::vector<std::string> words;
    for (std::size_t i = 0; i < *count; ++i) {
      const auto size = number();
      if (!size || input.size() < at + *size + 2) return std::nullopt;
      words.push_back(input.substr(at, *size));
      at += *size + 2;
    }
    input.erase(0, at);
    return words;
  }

  TempDir directory_;
  Answer answer_;
  int fd_;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> connections_;
};

}  // namespace pronghorn::test
