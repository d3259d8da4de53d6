// What the bare servers on libuv have in common: uv_llhttp and uv_redis.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <uv.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

inline void check(int status, const char* what) {
  if (status == 0) return;
  std::fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
  std::exit(1);
}

// The value of the field Date.
inline std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text.data();
}

// Serves on a port of 127.0.0.1 until the program is killed, and calls `every_second`.
inline int serve(uv_loop_t* loop, const char* port, uv_connection_cb on_connection, uv_timer_cb every_second) {
  uv_timer_t timer;
  check(uv_timer_init(loop, &timer), "uv_timer_init");
  check(uv_timer_start(&timer, every_second, 1000, 1000), "uv_timer_start");
  uv_tcp_t listener;
  sockaddr_in address{};
  check(uv_ip4_addr("127.0.0.1", std::atoi(port), &address), "address");
  check(uv_tcp_init(loop, &listener), "uv_tcp_init");
  check(uv_tcp_bind(&listener, reinterpret_cast<const sockaddr*>(&address), 0), "bind");
  uv_os_fd_t fd = -1;
  check(uv_fileno(reinterpret_cast<uv_handle_t*>(&listener), &fd), "uv_fileno");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // inherited by what is accepted
  check(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, on_connection), "listen");
  return uv_run(loop, UV_RUN_DEFAULT);
}
