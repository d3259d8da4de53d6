// The physical limit: a bare epoll loop that finds the blank line after each head and sends fixed bytes. It parses no
// HTTP, so no server that does can be cheaper on the same kernel.
//
//   rawepoll PORT [close]      with `close`, each answer ends its connection
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::size_t kTailSize = kHeadEnd.size() - 1;
constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::size_t kAnswersPerSend = 256;
constexpr int kEventsPerTurn = 256;

// The bytes that ended the last read and may begin a kHeadEnd.
struct Connection {
  std::array<char, kTailSize> tail{};
  std::size_t tail_size = 0;
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

int listen_on(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // inherited by what is accepted
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) fail("bind");
  if (::listen(fd, 4096) != 0) fail("listen");
  return fd;
}

class Server {
 public:
  Server(std::uint16_t port, bool close_each)
      : listener_(listen_on(port)),
        epoll_(::epoll_create1(0)),
        close_each_(close_each),
        buffer_(kTailSize + kReadSize) {
    const std::string answer =
        std::string("HTTP/1.1 200 OK\r\nServer: rawepoll\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\n") +
        "Content-Type: text/plain\r\nContent-Length: 13\r\n" + (close_each ? "Connection: close\r\n" : "") +
        "\r\nHello, World!";
    answer_size_ = answer.size();
    for (std::size_t i = 0; i < kAnswersPerSend; ++i) answers_ += answer;
    watch(listener_);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, kEventsPerTurn> events{};
    for (;;) {
      const int count = ::epoll_wait(epoll_, events.data(), kEventsPerTurn, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events[static_cast<std::size_t>(i)].data.fd;
        fd == listener_ ? accept_all() : serve(fd);
      }
    }
  }

 private:
  void watch(int fd) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
  }

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (fd < 0) return;
      if (connections_.size() <= static_cast<std::size_t>(fd)) connections_.resize(static_cast<std::size_t>(fd) + 1);
      connections_[static_cast<std::size_t>(fd)] = {};
      watch(fd);
    }
  }

  void serve(int fd) {
    Connection& connection = connections_[static_cast<std::size_t>(fd)];
    std::memcpy(buffer_.data(), connection.tail.data(), connection.tail_size);
    const ssize_t got = ::recv(fd, buffer_.data() + connection.tail_size, kReadSize, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      ::close(fd);
      return;
    }
    std::string_view bytes(buffer_.data(), connection.tail_size + static_cast<std::size_t>(got));
    std::size_t requests = 0;
    for (std::size_t end = bytes.find(kHeadEnd); end != std::string_view::npos; end = bytes.find(kHeadEnd)) {
      bytes.remove_prefix(end + kHeadEnd.size());
      ++requests;
    }
    connection.tail_size = std::min(bytes.size(), kTailSize);
    std::memcpy(connection.tail.data(), bytes.data() + bytes.size() - connection.tail_size, connection.tail_size);
    if (requests > 0 && (!send_answers(fd, requests) || close_each_)) ::close(fd);
  }

  // False if the client has disconnected.
  bool send_answers(int fd, std::size_t count) const {
    while (count > 0) {
      const std::size_t now = std::min(count, kAnswersPerSend);
      if (!send_all(fd, std::string_view(answers_).substr(0, now * answer_size_))) return false;
      count -= now;
    }
    return true;
  }

  // Waits for a client that does not take its answers: the benchmark's clients always do.
  static bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN) {
        pollfd writable{fd, POLLOUT, 0};
        ::poll(&writable, 1, -1);
      } else {
        return false;
      }
    }
    return true;
  }

  int listener_;
  int epoll_;
  bool close_each_;
  std::vector<char> buffer_;             // a connection's tail, then what was read
  std::vector<Connection> connections_;  // by descriptor
  std::string answers_;
  std::size_t answer_size_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: rawepoll PORT [close]\n", stderr);
    return 2;
  }
  Server server(static_cast<std::uint16_t>(std::atoi(argv[1])), argc > 2 && std::string_view(argv[2]) == "close");
  server.run();
}
