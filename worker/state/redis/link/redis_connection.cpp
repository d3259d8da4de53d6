#include "worker/state/redis/link/redis_connection.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <array>
#include <utility>

#include "worker/state/redis/link/tls_advice.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kPlaintext = 64 * 1024;

}  // namespace

// Belongs to libuv until its close callback, together with everything that a request in flight points to. libuv
// completes the requests before it calls that callback.
struct RedisConnection::Socket {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  RedisConnection* owner;  // null once the connection is destroyed
  uv_connect_t connect_request;
  uv_write_t write_request;
  std::string unsent;  // being written by write_request
  std::array<char, 64 * 1024> received;

  explicit Socket(RedisConnection* connection) noexcept : owner(connection) {}
};

void RedisConnection::CloseSocket::operator()(Socket* socket) const noexcept {
  socket->owner = nullptr;
  uv_close(&socket->handle, [](uv_handle_t* closed) { delete static_cast<Socket*>(closed->data); });
}

RedisConnection::RedisConnection(uv_loop_t* loop, AddressLookup& lookup, Listener& listener) noexcept
    : loop_(loop), lookup_(lookup), listener_(listener) {}

RedisConnection::~RedisConnection() { lookup_.cancel(); }

std::string RedisConnection::open(const RedisTarget& target, const LinkSettings& settings) {
  const RedisUrl& url = target.url;
  if (url.is_unix) return connect_unix(url.path);
  tls_context_ = settings.tls;
  tls_name_ = !settings.tls_name.empty() ? settings.tls_name : !target.tls_name.empty() ? target.tls_name : url.host;
  return connect_tcp(url);
}

std::string RedisConnection::connect_unix(const std::string& path) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return "the path of the socket exceeds 107 bytes";
  auto socket = std::make_unique<Socket>(this);
  if (const int error = uv_pipe_init(loop_, &socket->pipe, 0); error != 0) return uv_strerror(error);
  socket_.reset(socket.release());
  socket_->handle.data = socket_.get();
  socket_->connect_request.data = socket_.get();
  uv_pipe_connect(&socket_->connect_request, &socket_->pipe, path.c_str(), [](uv_connect_t* request, int status) {
    auto* socket_of = static_cast<Socket*>(request->data);
    if (socket_of->owner != nullptr) socket_of->owner->connection_attempted(status);
  });
  return {};
}

std::string RedisConnection::connect_tcp(const RedisUrl& url) {
  addresses_ = AddressLookup::parse(url.host, url.port);
  next_address_ = addresses_.get();
  if (addresses_) return connect_next(0);
  return lookup_.start(url.host, url.port, [this](const std::string& error, AddressLookup::Addresses addresses) {
    addresses_ = std::move(addresses);
    next_address_ = addresses_.get();
    const std::string why = error.empty() ? connect_next(0) : error;
    if (!why.empty()) listener_.closed(why, Cause::broken);
  });
}

// Tries the next address. Returns why none is left: the error of the last attempt.
std::string RedisConnection::connect_next(int error) {
  while (next_address_ != nullptr) {
    const addrinfo* address = std::exchange(next_address_, next_address_->ai_next);
    auto socket = std::make_unique<Socket>(this);
    error = uv_tcp_init(loop_, &socket->tcp);
    if (error != 0) break;
    socket_.reset(socket.release());
    socket_->handle.data = socket_.get();
    socket_->connect_request.data = socket_.get();
    error = uv_tcp_connect(&socket_->connect_request, &socket_->tcp, address->ai_addr,
                           [](uv_connect_t* request, int status) {
                             auto* socket_of = static_cast<Socket*>(request->data);
                             if (socket_of->owner != nullptr) socket_of->owner->connection_attempted(status);
                           });
    if (error == 0) return {};
  }
  return uv_strerror(error != 0 ? error : UV_EAI_NODATA);
}

void RedisConnection::connection_attempted(int status) {
  if (status == 0 && socket_->handle.type == UV_TCP) {
    uv_tcp_nodelay(&socket_->tcp, 1);
    uv_tcp_keepalive(&socket_->tcp, 1, 60);
  }
  if (status == 0) {
    status = uv_read_start(
        &socket_->stream,
        [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
          auto* socket = static_cast<Socket*>(handle->data);
          *buffer = uv_buf_init(socket->received.data(), static_cast<unsigned>(socket->received.size()));
        },
        [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
          auto* socket = static_cast<Socket*>(stream->data);
          if (socket->owner == nullptr || count == 0) return;
          if (count > 0) {
            socket->owner->received(*socket, {buffer->base, static_cast<std::size_t>(count)});
          } else {
            socket->owner->closed_by_server(static_cast<int>(count));
          }
        });
  }
  if (status == 0) {
    opened();
  } else if (const std::string why = connect_next(status); !why.empty()) {
    listener_.closed(why, Cause::broken);
  }
}

// The socket is connected.
void RedisConnection::opened() {
  if (!tls_context_) return listener_.connected();
  tls_.emplace(*tls_context_, tls_name_);
  plaintext_ = std::make_unique_for_overwrite<char[]>(kPlaintext);
  if (tls_->handshake() == TlsClientSession::Result::failed) return failed_tls();
  if (const int error = send(tls_->output()); error != 0) listener_.closed(uv_strerror(error), Cause::broken);
}

// ---- bytes in

void RedisConnection::received(Socket& socket, std::string_view bytes) {
  if (!tls_) return listener_.received(bytes);
  received_tls(socket, bytes);
}

// Each call of the listener may destroy this connection; the socket outlives it until its close callback.
void RedisConnection::received_tls(Socket& socket, std::string_view ciphertext) {
  using Result = TlsClientSession::Result;
  tls_->feed(ciphertext);
  if (!tls_->established()) {
    const Result result = tls_->handshake();
    if (!writing() && send(tls_->output()) != 0 && result != Result::failed) return closed_by_server(UV_ECONNRESET);
    if (result == Result::failed) return failed_tls();
    if (result == Result::closed) return closed_by_server(UV_EOF);
    if (result == Result::waiting) return;
    listener_.connected();
    if (socket.owner == nullptr) return;
  }
  for (Result result = Result::done; result == Result::done;) {
    std::size_t count = 0;
    result = tls_->read({plaintext_.get(), kPlaintext}, count);
    if (count > 0) listener_.received({plaintext_.get(), count});
    if (socket.owner == nullptr) return;
    if (result == Result::failed) return failed_tls();
    if (result == Result::closed) return closed_by_server(UV_EOF);
  }
  // TLS itself has something to say, such as new keys. It is not worth an error: the next write meets the same one.
  if (!writing() && !tls_->output().empty()) (void)send(tls_->output());
}

void RedisConnection::closed_by_server(int error) {
  const std::string reason = error == UV_EOF ? "Redis closed the connection" : uv_strerror(error);
  const bool in_handshake = tls_ && !tls_->established();
  listener_.closed(in_handshake ? reason + " during the TLS handshake" : reason, Cause::broken);
}

void RedisConnection::failed_tls() {
  const TlsClientFailure failure = tls_->failure();
  if (!writing()) (void)send(tls_->output());  // the alert that tells the server why
  listener_.closed(with_advice(failure), is_misconfigured(failure) ? Cause::misconfigured : Cause::broken);
}

std::string RedisConnection::overdue(std::chrono::milliseconds waited) const {
  if (tls_ && !tls_->established()) {
    return fmt::format("no end of the TLS handshake within {} ms; does the port speak TLS?", waited.count());
  }
  return fmt::format("no connection within {} ms", waited.count());
}

// ---- bytes out

bool RedisConnection::writing() const noexcept { return socket_ != nullptr && !socket_->unsent.empty(); }

int RedisConnection::write(std::string& bytes) {
  if (!tls_) return send(bytes);
  if (!tls_->write(bytes)) return UV_EPROTO;
  bytes.clear();
  return writing() ? 0 : send(tls_->output());  // TLS itself may be writing: then sent() goes on
}

int RedisConnection::send(std::string& bytes) {
  if (bytes.empty()) return 0;
  uv_buf_t buffer{bytes.data(), bytes.size()};  // uv_buf_init() takes 32 bits of the length only
  const int sent = uv_try_write(&socket_->stream, &buffer, 1);
  if (sent < 0 && sent != UV_EAGAIN) return sent;
  const auto count = static_cast<std::size_t>(sent < 0 ? 0 : sent);
  if (count == bytes.size()) {
    bytes.clear();
    return 0;
  }
  socket_->unsent = bytes.substr(count);
  bytes.clear();
  buffer = {socket_->unsent.data(), socket_->unsent.size()};
  socket_->write_request.data = socket_.get();
  return uv_write(&socket_->write_request, &socket_->stream, &buffer, 1, [](uv_write_t* request, int status) {
    auto* socket = static_cast<Socket*>(request->data);
    socket->unsent.clear();
    if (socket->owner != nullptr) socket->owner->sent(status);
  });
}

void RedisConnection::sent(int status) {
  if (status != 0) return listener_.closed(uv_strerror(status), Cause::broken);
  if (tls_ && !tls_->output().empty()) {  // made meanwhile, by TLS itself
    if (const int error = send(tls_->output()); error != 0) return listener_.closed(uv_strerror(error), Cause::broken);
    if (writing()) return;
  }
  if (!tls_ || tls_->established()) listener_.writable();
}

}  // namespace pronghorn::worker
