// Code that the benchmark's own clients share.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

// A blocking socket to 127.0.0.1; ends the program if nothing listens there. `from`: the last part of its own address,
// 127.0.0.FROM: each has ports for 28,000 sockets.
inline int connect_to(std::uint16_t port, std::uint32_t from = 1) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (from != 1) {
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    address.sin_addr.s_addr = htonl(0x7f000000U + from);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) std::perror("bind");
  }
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    std::perror("connect");
    std::exit(1);
  }
  return fd;
}

inline void send_all(int fd, std::string_view bytes) {
  if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size())) return;
  std::perror("send");
  std::exit(1);
}

// The bytes of the response to one request. Every later response has the same size, since only its Date may differ.
// Ends the program if it is not a 200 that ends with `body`.
inline std::size_t size_of_answer(int fd, std::string_view request, std::string_view body) {
  send_all(fd, request);
  std::string answer;
  std::array<char, 4096> buffer{};
  while (!answer.ends_with(body)) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(body)) return answer.size();
  std::fprintf(stderr, "not the expected answer: %.300s\n", answer.c_str());
  std::exit(1);
}
