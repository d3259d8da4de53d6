#include "worker/state/redis/link/redis_connection.h"

#include <sys/un.h>

#include <array>
#include <utility>

namespace pronghorn::worker {

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

std::string RedisConnection::open(const RedisUrl& url) {
  return url.is_unix ? connect_unix(url.path) : connect_tcp(url);
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
    if (!why.empty()) listener_.closed(why);
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
          RedisConnection* owner = static_cast<Socket*>(stream->data)->owner;
          if (owner == nullptr || count == 0) return;
          if (count > 0) {
            owner->listener_.received({buffer->base, static_cast<std::size_t>(count)});
          } else {
            owner->listener_.closed(count == UV_EOF ? "Redis closed the connection"
                                                    : uv_strerror(static_cast<int>(count)));
          }
        });
  }
  if (status == 0) {
    listener_.connected();
  } else if (const std::string why = connect_next(status); !why.empty()) {
    listener_.closed(why);
  }
}

bool RedisConnection::writing() const noexcept { return socket_ != nullptr && !socket_->unsent.empty(); }

int RedisConnection::write(std::string& bytes) {
  uv_buf_t buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
  const int sent = uv_try_write(&socket_->stream, &buffer, 1);
  if (sent < 0 && sent != UV_EAGAIN) return sent;
  const auto count = static_cast<std::size_t>(sent < 0 ? 0 : sent);
  if (count == bytes.size()) {
    bytes.clear();
    return 0;
  }
  socket_->unsent = bytes.substr(count);
  bytes.clear();
  buffer = uv_buf_init(socket_->unsent.data(), static_cast<unsigned>(socket_->unsent.size()));
  socket_->write_request.data = socket_.get();
  return uv_write(&socket_->write_request, &socket_->stream, &buffer, 1, [](uv_write_t* request, int status) {
    auto* socket = static_cast<Socket*>(request->data);
    socket->unsent.clear();
    if (socket->owner == nullptr) return;
    if (status == 0) {
      socket->owner->listener_.writable();
    } else {
      socket->owner->listener_.closed(uv_strerror(status));
    }
  });
}

}  // namespace pronghorn::worker
