// Connects over TLS 1.3, sends one request and closes, again and again for some seconds, one connection at a time:
//   tls_client PORT full|resumed SECONDS
// Prints {"handshakes": …, "seconds": …}. Ends with an error if one of them was not of the kind that was asked for.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>

#include "client_socket.h"

namespace {

constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

struct Free {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
using Session = std::unique_ptr<SSL_SESSION, Free>;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "tls_client: %s\n", what);
  ERR_print_errors_fp(stderr);
  std::exit(1);
}

// One connection, with the session unless it is null. The session that the server has given.
Session connect_once(SSL_CTX* context, std::uint16_t port, SSL_SESSION* session) {
  const std::unique_ptr<SSL, Free> ssl(SSL_new(context));
  const int fd = connect_to(port);
  SSL_set_fd(ssl.get(), fd);
  SSL_set_tlsext_host_name(ssl.get(), "localhost");
  if (session != nullptr) SSL_set_session(ssl.get(), session);
  if (SSL_connect(ssl.get()) != 1) fail("the handshake has failed");
  if (SSL_session_reused(ssl.get()) != (session != nullptr ? 1 : 0)) fail("a session was (not) resumed");
  if (SSL_write(ssl.get(), kRequest.data(), static_cast<int>(kRequest.size())) <= 0) fail("cannot send");
  std::array<char, 4096> buffer{};
  std::string answer;
  for (int count = 0; (count = SSL_read(ssl.get(), buffer.data(), static_cast<int>(buffer.size()))) > 0;) {
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
  if (!answer.starts_with("HTTP/1.1 200 ")) fail("not the expected answer");
  SSL_shutdown(ssl.get());
  Session given(SSL_get1_session(ssl.get()));
  ::close(fd);
  return given;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: tls_client PORT full|resumed SECONDS");
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const bool resumes = std::strcmp(argv[2], "resumed") == 0;
  const std::chrono::seconds time(std::atoi(argv[3]));
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  Session session = connect_once(context, port, nullptr);
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t handshakes = 0;
  for (; std::chrono::steady_clock::now() - begin < time; ++handshakes) {
    Session next = connect_once(context, port, resumes ? session.get() : nullptr);
    if (resumes && SSL_SESSION_is_resumable(next.get()) == 1) session = std::move(next);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("{\"handshakes\": %llu, \"seconds\": %.3f}\n", static_cast<unsigned long long>(handshakes), took.count());
  SSL_CTX_free(context);
  return 0;
}
