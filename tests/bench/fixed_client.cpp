// Asks an exact number of times, so that counts of instructions can be divided by it. Sends one request on every
// connection, then reads every answer, and so on; ends with status 1 at the first answer that is not the expected one.
//
//   fixed_client PORT REQUESTS HEADERS BODY      HEADERS: lines after the request line, each ended by CRLF, or ""
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr std::size_t kConnections = 64;

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    std::perror("connect");
    std::exit(1);
  }
  return fd;
}

// Reads up to the end of `body`, which ends every expected answer.
bool read_answer(int fd, std::string_view body) {
  std::string answer;
  std::array<char, 4096> buffer{};
  while (!answer.ends_with(body)) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return answer.starts_with("HTTP/1.1 200 ");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: fixed_client PORT REQUESTS HEADERS BODY\n", stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const auto requests = static_cast<std::size_t>(std::atoll(argv[2]));
  const std::string request = std::string("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n") + argv[3] + "\r\n";
  std::array<int, kConnections> connections{};
  for (int& fd : connections) fd = connect_to(port);
  for (std::size_t asked = 0; asked < requests;) {
    const std::size_t first = asked;
    for (std::size_t i = 0; i < kConnections && asked < requests; ++i, ++asked) {
      if (::send(connections[i], request.data(), request.size(), MSG_NOSIGNAL) < 0) return 1;
    }
    for (std::size_t i = 0; i < asked - first; ++i) {
      if (!read_answer(connections[i], argv[4])) {
        std::fputs("an answer was not the expected one\n", stderr);
        return 1;
      }
    }
  }
  for (const int fd : connections) ::close(fd);
}
