// The WebSocket client of the benchmark: many sockets in one thread.
//
//   socket_client PORT echo SOCKETS SECONDS BYTES     each socket sends a message when it has the echo of the last one
//   socket_client PORT topic SOCKETS SECONDS PAUSE_US every socket is in /topic; one more sends to it, every PAUSE_US
//   socket_client PORT idle SOCKETS                   opens them, says so, and waits for the end of its input
//   socket_client PORT hold SOCKETS SECONDS FROM      opens them from 127.0.0.FROM, says so, and answers pings for so
//                                                     long; messages are the pings
//
// Prints "begin" and, at the end, one line of JSON: {"messages": N, "seconds": S}. Messages are those that arrived. Ends with status 1 if a socket
// is refused or lost.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "client_socket.h"

namespace {

using Clock = std::chrono::steady_clock;

// Frames of a server have no mask; those of the benchmark have at most 125 bytes, except where `long_` says so.
class Frames {
 public:
  // How many frames end in `bytes`.
  std::uint64_t count(std::string_view bytes) {
    std::uint64_t ended = 0;
    while (!bytes.empty()) {
      if (left_ == 0) {
        head_.push_back(bytes.front());
        bytes.remove_prefix(1);
        const auto size = head_.size() < 2 ? 0U : static_cast<unsigned char>(head_[1]) & 127U;
        if (head_.size() < 2 || (size == 126 && head_.size() < 4)) continue;
        left_ = size == 126 ? static_cast<std::size_t>(static_cast<unsigned char>(head_[2])) << 8U |
                                  static_cast<unsigned char>(head_[3])
                            : size;
        head_.clear();
        if (left_ == 0) ++ended;
        continue;
      }
      const std::size_t part = std::min(left_, bytes.size());
      left_ -= part;
      bytes.remove_prefix(part);
      if (left_ == 0) ++ended;
    }
    return ended;
  }

 private:
  std::string head_;
  std::size_t left_ = 0;
};

struct Client {
  int fd = -1;
  Frames frames;
};

// With a mask of zero, which servers have to apply like any other.
std::string frame_of(std::size_t bytes) {
  std::string frame("\x81");
  if (bytes < 126) {
    frame.push_back(static_cast<char>(0x80U | bytes));
  } else {
    frame.push_back(static_cast<char>(0xfe));
    frame.push_back(static_cast<char>(bytes >> 8U));
    frame.push_back(static_cast<char>(bytes & 255U));
  }
  frame.append(4, '\0').append(bytes, 'x');
  return frame;
}

int open_socket(std::uint16_t port, const std::string& path, std::uint32_t from = 1) {
  const int fd = connect_to(port, from);
  send_all(fd, "GET " + path +
                   " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YmVuY2htYXJrIGNsaWVudA==\r\n\r\n");
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    char byte = 0;
    if (::recv(fd, &byte, 1, 0) != 1) break;
    head.push_back(byte);
  }
  if (head.starts_with("HTTP/1.1 101 ")) return fd;
  std::fprintf(stderr, "refused: %.100s\n", head.c_str());
  std::exit(1);
}

class Crowd {
 public:
  Crowd(std::uint16_t port, const std::string& path, std::size_t sockets, std::uint32_t from = 1) : clients_(sockets) {
    for (Client& client : clients_) {
      client.fd = open_socket(port, path, from);
      epoll_event event{.events = EPOLLIN, .data = {.ptr = &client}};
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &event);
    }
  }
  std::vector<Client>& clients() { return clients_; }

  // Reads what comes within the time; calls `got(client, frames)`.
  template <class Got>
  void read(int milliseconds, Got got) {
    std::array<epoll_event, 1024> events{};
    const int count = ::epoll_wait(epoll_, events.data(), events.size(), milliseconds);
    for (int i = 0; i < count; ++i) {
      auto& client = *static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr);
      const ssize_t size = ::recv(client.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (size <= 0) {
        std::fprintf(stderr, "a socket was closed\n");
        std::exit(1);
      }
      got(client, client.frames.count({buffer_.data(), static_cast<std::size_t>(size)}));
    }
  }

 private:
  int epoll_ = ::epoll_create1(0);
  std::vector<Client> clients_;
  std::array<char, 65536> buffer_{};
};

void report(std::uint64_t messages, Clock::time_point begin) {
  std::printf("{\"messages\": %llu, \"seconds\": %.3f}\n", static_cast<unsigned long long>(messages),
              std::chrono::duration<double>(Clock::now() - begin).count());
  std::fflush(stdout);
}

void echo(std::uint16_t port, std::size_t sockets, int seconds, std::size_t bytes) {
  Crowd crowd(port, "/echo/socket", sockets);
  const std::string frame = frame_of(bytes);
  std::puts("begin");
  std::fflush(stdout);
  const auto begin = Clock::now();
  for (const Client& client : crowd.clients()) send_all(client.fd, frame);
  std::uint64_t messages = 0;
  while (Clock::now() < begin + std::chrono::seconds(seconds)) {
    crowd.read(100, [&](Client& client, std::uint64_t frames) {
      messages += frames;
      for (; frames > 0; --frames) send_all(client.fd, frame);
    });
  }
  report(messages, begin);
}

void topic(std::uint16_t port, std::size_t sockets, int seconds, long pause_us) {
  Crowd crowd(port, "/topic", sockets);
  const int sender = open_socket(port, "/topic?mute=1");
  const std::string frame = frame_of(64);
  std::uint64_t messages = 0;
  std::uint64_t sent = 0;
  const auto count = [&](Client&, std::uint64_t frames) { messages += frames; };
  send_all(sender, frame);  // everybody is in the topic when everybody has got a message
  const auto patience = Clock::now() + std::chrono::seconds(20);
  while (messages < sockets && Clock::now() < patience) {
    crowd.read(100, count);
    if (messages < sockets && messages % sockets == 0) send_all(sender, frame);
  }
  crowd.read(500, count);
  messages = 0;
  std::puts("begin");
  std::fflush(stdout);
  const auto begin = Clock::now();
  while (Clock::now() < begin + std::chrono::seconds(seconds)) {
    const auto due = begin + std::chrono::microseconds(static_cast<long>(sent) * pause_us);
    if (Clock::now() >= due) {
      send_all(sender, frame);
      ++sent;
    }
    crowd.read(0, count);
  }
  while (messages < sent * sockets && Clock::now() < begin + std::chrono::seconds(seconds + 20)) crowd.read(100, count);
  report(messages, begin);
}

void idle(std::uint16_t port, std::size_t sockets) {
  const Crowd crowd(port, "/echo/socket", sockets);
  report(0, Clock::now());
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

void hold(std::uint16_t port, std::size_t sockets, int seconds, std::uint32_t from) {
  Crowd crowd(port, "/echo/socket", sockets, from);
  constexpr std::string_view kPong("\x8a\x80\0\0\0\0", 6);
  std::puts("begin");
  std::fflush(stdout);
  const auto begin = Clock::now();
  std::uint64_t pings = 0;
  while (Clock::now() < begin + std::chrono::seconds(seconds)) {
    crowd.read(100, [&](Client& client, std::uint64_t frames) {  // nothing else comes
      pings += frames;
      for (; frames > 0; --frames) send_all(client.fd, kPong);
    });
  }
  report(pings, begin);
}

}  // namespace

int main(int count, char** words) {
  if (count < 4) {
    std::fprintf(stderr, "usage: see the source\n");
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(words[1]));
  const std::string mode = words[2];
  const auto sockets = static_cast<std::size_t>(std::atoi(words[3]));
  if (mode == "idle") idle(port, sockets);
  if (mode == "hold" && count == 6) {
    hold(port, sockets, std::atoi(words[4]), static_cast<std::uint32_t>(std::atoi(words[5])));
  }
  if (mode == "echo" && count == 6)
    echo(port, sockets, std::atoi(words[4]), static_cast<std::size_t>(std::atoi(words[5])));
  if (mode == "topic" && count == 6) topic(port, sockets, std::atoi(words[4]), std::atol(words[5]));
}
