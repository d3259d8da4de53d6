// Sends an exact number of requests, so that counts of instructions and system calls can be divided by it. Sends on
// every connection, then reads every response, and so on; exits with status 1 at the first unexpected response.
//
//   fixed_client PORT TARGET HEADERS BODY DEPTH REQUESTS      DEPTH: requests in one write
//   HEADERS: lines after the request line, each ended by CRLF, or ""; REQUESTS: a multiple of 64 x DEPTH
//
// With "Connection: close" among HEADERS, each request has a connection of its own; DEPTH must be 1.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "client_socket.h"

namespace {

constexpr std::size_t kConnections = 64;
constexpr std::string_view kStart = "HTTP/1.1 200 ";

bool read_answers(int fd, std::size_t count, std::size_t size, std::string_view body) {
  std::string answers(count * size, '\0');
  if (::recv(fd, answers.data(), answers.size(), MSG_WAITALL) != static_cast<ssize_t>(answers.size())) return false;
  for (std::string_view rest = answers; !rest.empty(); rest.remove_prefix(size)) {
    if (!rest.starts_with(kStart) || !rest.substr(0, size).ends_with(body)) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fputs("usage: fixed_client PORT TARGET HEADERS BODY DEPTH REQUESTS\n", stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const std::string request = std::string("GET ") + argv[2] + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" + argv[3] + "\r\n";
  const std::string_view body = argv[4];
  const auto depth = static_cast<std::size_t>(std::atoll(argv[5]));
  const auto rounds = static_cast<std::size_t>(std::atoll(argv[6])) / (kConnections * depth);

  std::string batch;
  for (std::size_t i = 0; i < depth; ++i) batch += request;
  const bool close = request.find("Connection: close\r\n") != std::string::npos;
  std::array<int, kConnections> connections{};
  std::size_t size = 0;
  for (int& fd : connections) {
    fd = connect_to(port);
    size = size_of_answer(fd, request, body);
  }
  for (std::size_t round = 0; round < rounds; ++round) {
    for (int& fd : connections) {
      if (close) ::close(std::exchange(fd, connect_to(port)));
      send_all(fd, batch);
    }
    for (const int fd : connections) {
      if (read_answers(fd, depth, size, body)) continue;
      std::fputs("an answer was not the expected one\n", stderr);
      return 1;
    }
  }
}
