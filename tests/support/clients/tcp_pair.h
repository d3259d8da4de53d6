// Two connected TCP sockets of this process.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string_view>
#include <utility>

namespace pronghorn::test {

class TcpPair {
 public:
  TcpPair() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* name = reinterpret_cast<sockaddr*>(&address);
    client = ::socket(AF_INET, SOCK_STREAM, 0);
    const bool connected = ::bind(listener, name, size) == 0 && ::listen(listener, 1) == 0 &&
                           ::getsockname(listener, name, &size) == 0 && ::connect(client, name, size) == 0;
    server = connected ? ::accept(listener, nullptr, nullptr) : -1;
    ::close(listener);
    if (server < 0) throw std::runtime_error("no pair of TCP sockets");
  }
  TcpPair(const TcpPair&) = delete;
  TcpPair& operator=(const TcpPair&) = delete;
  ~TcpPair() {
    close_client();
    close_server();
  }

  void close_client() {
    if (client >= 0) ::close(std::exchange(client, -1));
  }
  void close_server() {
    if (server >= 0) ::close(std::exchange(server, -1));
  }
  void client_sends(std::string_view text) const {
    if (::write(client, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      throw std::runtime_error("write");
    pollfd arrived{server, POLLIN, 0};
    ::poll(&arrived, 1, 5000);
  }

  int client = -1;
  int server = -1;
};

}  // namespace pronghorn::test
