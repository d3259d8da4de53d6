// What it costs to write() to many clients, and nothing else: the least that an event to each of them can cost.
//
//   bare_write CLIENTS ROUNDS BYTES PAUSE_MS
//
// Writes BYTES to each of CLIENTS in each round. Prints the CPU time of one write as JSON.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

double cpu_us() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return 1e6 * static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

// The clients: they read until they are killed.
[[noreturn]] void read_all(const sockaddr_in& address, int clients) {
  const int poll = ::epoll_create1(0);
  for (int i = 0; i < clients; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) ::_exit(1);
    epoll_event wanted{.events = EPOLLIN, .data = {.fd = fd}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &wanted);
  }
  static std::array<char, 64 * 1024> bytes;
  for (;;) {
    std::array<epoll_event, 256> ready{};
    const int count = ::epoll_wait(poll, ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < count; ++i) {
      if (::read(ready.at(static_cast<std::size_t>(i)).data.fd, bytes.data(), bytes.size()) <= 0) ::_exit(0);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const int clients = std::atoi(argv[1]), rounds = std::atoi(argv[2]), pause_ms = std::atoi(argv[4]);
  const std::string text(static_cast<std::size_t>(std::atoi(argv[3])), 'x');
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 4096) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("bare_write: cannot listen");
    return 1;
  }
  const pid_t reader = ::fork();
  if (reader == 0) {
    ::close(listener);
    read_all(address, clients);
  }
  std::vector<int> sockets;
  for (int i = 0; i < clients; ++i) {
    const int fd = ::accept(listener, nullptr, nullptr);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets.push_back(fd);
  }
  bool whole = true;
  const double before = cpu_us();
  for (int round = 0; round < rounds; ++round) {
    for (const int fd : sockets) whole &= ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::usleep(static_cast<useconds_t>(pause_ms) * 1'000);
  }
  const double used = cpu_us() - before;
  ::kill(reader, SIGKILL);
  ::waitpid(reader, nullptr, 0);
  if (!whole) {
    std::fprintf(stderr, "bare_write: a client did not take what was written\n");
    return 1;
  }
  std::printf("{\"us_per_event\":%.4f}\n", used / clients / rounds);
}
