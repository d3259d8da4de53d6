#include "worker/net/socket_stream.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kFileChunk = 64 * 1024;        // copied when sendfile would block
constexpr std::size_t kSendfileChunk = 1024 * 1024;  // per system call
constexpr int kSendfileCallsPerTurn = 8;             // then other clients have their turn

// uv_buf_init() takes 32 bits of the length only.
uv_buf_t buffer_of(std::string_view bytes) noexcept { return {const_cast<char*>(bytes.data()), bytes.size()}; }

}  // namespace

// Owns its bytes: libuv may call back after the stream has been closed.
struct SocketStream::PendingWrite {
  uv_write_t request{};
  std::string bytes;
};

SocketStream::SocketStream(uv_loop_t* loop, int fd, bool is_unix, std::string& read_buffer,
                           StreamEvents& events) noexcept
    : handle_{}, read_buffer_(read_buffer), events_(events) {
  if (is_unix) {
    uv_pipe_init(loop, &handle_.pipe, 0);
    ok_ = uv_pipe_open(&handle_.pipe, fd) == 0;
  } else {
    uv_tcp_init(loop, &handle_.tcp);
    ok_ = uv_tcp_open(&handle_.tcp, fd) == 0;
  }
  handle_.handle.data = this;
  if (!ok_) ::close(fd);
}

void SocketStream::read_start() noexcept {
  if (reading_ || closing_) return;
  const auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    std::string& memory = static_cast<SocketStream*>(handle->data)->read_buffer_;
    *buffer = uv_buf_init(memory.data(), static_cast<unsigned>(memory.size()));
  };
  const auto read = [](uv_stream_t* handle, ssize_t size, const uv_buf_t* buffer) {
    static_cast<SocketStream*>(handle->data)->received(size, buffer->base);
  };
  reading_ = uv_read_start(stream(), allocate, read) == 0;
}

void SocketStream::read_stop() noexcept {
  if (!reading_ || closing_) return;
  uv_read_stop(stream());
  reading_ = false;
}

void SocketStream::received(ssize_t size, const char* bytes) {
  if (size > 0) {
    events_.on_data({bytes, static_cast<std::size_t>(size)});
  } else if (size == UV_EOF) {
    read_stop();
    events_.on_end();
  } else if (size < 0) {
    events_.on_error();
  }
}

bool SocketStream::has_input() const noexcept {
  uv_os_fd_t socket = -1;
  char byte = 0;
  if (uv_fileno(&handle_.handle, &socket) != 0) return false;
  return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void SocketStream::write(std::string_view first, std::string_view second) {
  if (closing_ || failed_) return;
  const std::size_t total = first.size() + second.size();
  if (total == 0) return;
  std::size_t sent = 0;
  if (pending_writes_ == 0 && file_ == nullptr) {
    const std::array<uv_buf_t, 2> parts{buffer_of(first), buffer_of(second)};
    const int result = uv_try_write(stream(), parts.data(), second.empty() ? 1 : 2);
    if (result < 0 && result != UV_EAGAIN) return fail();
    if (result > 0) sent = static_cast<std::size_t>(result);
    bytes_sent_ += sent;
  }
  if (sent == total) return;
  std::string rest;
  rest.reserve(total - sent);
  if (sent < first.size()) {
    rest.append(first.substr(sent)).append(second);
  } else {
    rest.append(second.substr(sent - first.size()));
  }
  queue_write(std::move(rest));
}

void SocketStream::queue_write(std::string bytes) {
  auto write = std::make_unique<PendingWrite>();
  write->bytes = std::move(bytes);
  write->request.data = write.get();
  const uv_buf_t part = buffer_of(write->bytes);
  const int error = uv_write(&write->request, stream(), &part, 1, [](uv_write_t* request, int status) {
    const std::unique_ptr<PendingWrite> done(static_cast<PendingWrite*>(request->data));
    auto* self = static_cast<SocketStream*>(request->handle->data);
    self->bytes_sent_ += done->bytes.size();
    self->pending_bytes_ -= done->bytes.size();
    self->write_finished(status);
  });
  if (error != 0) return fail();
  ++pending_writes_;
  pending_bytes_ += write.release()->bytes.size();
}

void SocketStream::write_finished(int status) {
  --pending_writes_;
  if (closing_) return;
  if (status != 0) return fail();
  if (pending_writes_ != 0) return;
  if (file_ != nullptr) pump_file();
  if (!closing_ && !failed_ && queued() == 0) events_.on_drained();
}

void SocketStream::write_file(std::unique_ptr<detail::FilePart> part) {
  if (closing_ || failed_) return;
  file_ = std::move(part);
  if (pending_writes_ == 0) pump_file();
}

// Sends until the socket is full. Then a copied chunk is queued with uv_write, whose end tells that there is room
// again: libuv watches the descriptor already, so a second watcher on it is not possible.
void SocketStream::pump_file() {
  uv_os_fd_t socket = -1;
  uv_fileno(&handle_.handle, &socket);
  detail::FilePart& part = *file_;
  for (int calls = 0; part.length > 0 && calls < kSendfileCallsPerTurn; ++calls) {
    auto offset = static_cast<off_t>(part.offset);
    const ssize_t sent = ::sendfile(socket, part.file->fd(), &offset,
                                    static_cast<std::size_t>(std::min<std::uint64_t>(part.length, kSendfileChunk)));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    if (sent <= 0) return fail();  // an error, or the file has become shorter
    part.offset += static_cast<std::uint64_t>(sent);
    part.length -= static_cast<std::uint64_t>(sent);
    bytes_sent_ += static_cast<std::uint64_t>(sent);
  }
  if (part.length == 0) {
    file_.reset();
    return;
  }
  std::string chunk(static_cast<std::size_t>(std::min<std::uint64_t>(part.length, kFileChunk)), '\0');
  const ssize_t size = ::pread(part.file->fd(), chunk.data(), chunk.size(), static_cast<off_t>(part.offset));
  if (size <= 0) return fail();
  chunk.resize(static_cast<std::size_t>(size));
  part.offset += static_cast<std::uint64_t>(size);
  part.length -= static_cast<std::uint64_t>(size);
  queue_write(std::move(chunk));
}

std::uint64_t SocketStream::progress() const noexcept {
  // libuv reports a queued write only when it has ended; what the socket took of it shows in the size of the queue.
  return bytes_sent_ * 2 + uv_stream_get_write_queue_size(stream());
}

void SocketStream::shutdown() noexcept {
  if (closing_ || failed_) return;
  auto* request = new uv_shutdown_t;
  const int error = uv_shutdown(request, stream(), [](uv_shutdown_t* done, int) { delete done; });
  if (error != 0) delete request;
}

void SocketStream::fail() noexcept {
  if (failed_ || closing_) return;
  failed_ = true;
  file_.reset();
  events_.on_error();
}

void SocketStream::close() noexcept {
  if (closing_) return;
  closing_ = true;
  file_.reset();
  uv_close(&handle_.handle, [](uv_handle_t* handle) { static_cast<SocketStream*>(handle->data)->events_.on_closed(); });
}

}  // namespace pronghorn::worker
