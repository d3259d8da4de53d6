#include "support/tls/tls_tunnel.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace pronghorn::test {
namespace {

constexpr int kLookMs = 50;  // for the end of the tunnel

// One connection, in both directions.
class Bridge {
 public:
  Bridge(SSL* ssl, int local, int remote) : ssl_(ssl), local_(local), remote_(remote) {}

  // False: it has ended.
  bool step() {
    return read_remote() && write_local() && read_local() && write_remote() &&
           !(local_ended_ && remote_ended_ && to_local_.empty());
  }
  void wait() const {
    pollfd both[2] = {{local_, 0, 0}, {remote_, POLLIN, 0}};
    if (to_remote_.empty() && !local_ended_) both[0].events |= POLLIN;
    if (!to_local_.empty()) both[0].events |= POLLOUT;
    if (!to_remote_.empty()) both[1].events |= POLLOUT;
    if (!to_local_.empty() || remote_ended_) both[1].events &= ~POLLIN;
    ::poll(both, 2, kLookMs);
  }
  [[nodiscard]] bool in_order() const noexcept { return remote_ended_; }

 private:
  bool read_remote() {
    if (!to_local_.empty() || remote_ended_) return true;
    ERR_clear_error();
    const int size = SSL_read(ssl_, buffer_.data(), static_cast<int>(buffer_.size()));
    if (size > 0) {
      to_local_.assign(buffer_.data(), static_cast<std::size_t>(size));
      return true;
    }
    const int error = SSL_get_error(ssl_, size);
    if (error != SSL_ERROR_ZERO_RETURN) return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    remote_ended_ = true;
    ::shutdown(local_, SHUT_WR);
    return true;
  }
  bool write_local() {
    if (to_local_.empty()) return true;
    const ssize_t size = ::send(local_, to_local_.data(), to_local_.size(), MSG_NOSIGNAL);
    if (size < 0) return errno == EAGAIN;
    to_local_.erase(0, static_cast<std::size_t>(size));
    return true;
  }
  bool read_local() {
    if (!to_remote_.empty() || local_ended_) return true;
    const ssize_t size = ::recv(local_, buffer_.data(), buffer_.size(), 0);
    if (size < 0) return errno == EAGAIN;
    to_remote_.assign(buffer_.data(), static_cast<std::size_t>(size));
    if (size > 0) return true;
    local_ended_ = true;
    SSL_shutdown(ssl_);
    return true;
  }
  bool write_remote() {
    if (to_remote_.empty()) return true;
    ERR_clear_error();
    const int size = SSL_write(ssl_, to_remote_.data(), static_cast<int>(to_remote_.size()));
    if (size > 0) return to_remote_.erase(0, static_cast<std::size_t>(size)), true;
    const int error = SSL_get_error(ssl_, size);
    // The server may have closed, and what it has said before is still to be read.
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) to_remote_.clear();
    return true;
  }

  SSL* ssl_;
  int local_;
  int remote_;
  std::array<char, 16 * 1024> buffer_{};
  std::string to_local_;
  std::string to_remote_;
  bool local_ended_ = false;
  bool remote_ended_ = false;
};

}  // namespace

TlsTunnel::TlsTunnel(Address server, std::string preface, const std::string& protocols)
    : server_(std::move(server)),
      preface_(std::move(preface)),
      context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free) {
  SSL_CTX_set_mode(context_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_protos(context_.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned>(protocols.size()));
  SocketAddress name = socket_address(address_);
  auto* const storage = reinterpret_cast<sockaddr*>(&name.storage);
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener_, storage, name.size) != 0 || ::listen(listener_, 128) != 0 ||
      ::getsockname(listener_, storage, &name.size) != 0) {
    throw std::runtime_error("no socket for a tunnel");
  }
  address_.port = ntohs(reinterpret_cast<const sockaddr_in&>(name.storage).sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

TlsTunnel::~TlsTunnel() {
  stopping_ = true;
  acceptor_.join();
  for (std::thread& each : threads_) each.join();
  ::close(listener_);
}

void TlsTunnel::accept_all() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, kLookMs) != 1) continue;
    const int local = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (local >= 0) threads_.emplace_back([this, local] { serve(local); });
  }
}

int TlsTunnel::connect() const {
  const SocketAddress name = socket_address(server_);
  const int remote = ::socket(name.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(remote, reinterpret_cast<const sockaddr*>(&name.storage), name.size) != 0 ||
      ::send(remote, preface_.data(), preface_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(preface_.size())) {
    ::close(remote);
    return -1;
  }
  return remote;
}

void TlsTunnel::serve(int local) {
  const int remote = connect();
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_.get()), &SSL_free);
  bool in_order = false;
  if (remote >= 0) {
    SSL_set_fd(ssl.get(), remote);
    SSL_set_tlsext_host_name(ssl.get(), "localhost");
    SSL_set_connect_state(ssl.get());
    for (const int fd : {local, remote}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
    Bridge bridge(ssl.get(), local, remote);
    while (!stopping_ && bridge.step()) bridge.wait();
    in_order = bridge.in_order();
    if (SSL_session_reused(ssl.get()) != 0) ++resumed_;
    ::close(remote);
  }
  if (!in_order) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(local, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  ::close(local);
}

}  // namespace pronghorn::test
