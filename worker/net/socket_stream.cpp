#include "worker/net/socket_stream.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "common/log.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kFilePiece = 64 * 1024;        // copied when sendfile would block
constexpr std::size_t kSendfileChunk = 1024 * 1024;  // per system call
constexpr int kSendfileCallsPerTurn = 8;             // then other clients have their turn

// The kernel has given a client a number under which the loop still has something of its own: the application has
// closed that. Every client with this number would be lost, and the next one gets it again.
[[noreturn]] void give_up_worker(int fd) {
  log_error("the application has closed a descriptor that is not its own: the worker cannot go on",
            {{"descriptor", fd}});
  std::abort();
}

ssize_t send_both(int fd, std::string_view first, std::string_view second, int flags) noexcept {
  std::array<iovec, 2> parts{
      {{const_cast<char*>(first.data()), first.size()}, {const_cast<char*>(second.data()), second.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return ::sendmsg(fd, &message, flags);
}

}  // namespace

// Owns its bytes: libuv may call back after the stream has been closed.
struct SocketStream::PendingWrite {
  uv_write_t request{};
  std::string bytes;
};

SocketStream::SocketStream(uv_loop_t* loop, int fd, ReadBuffer read_buffer, std::optional<std::uint64_t> sent,
                           bool shared) noexcept
    : fd_(fd), handle_{}, read_buffer_(read_buffer), read_before_(sent.has_value()), shared_(shared) {
  bytes_sent_ = sent.value_or(0);
  uv_tcp_init(loop, &handle_);
  handle_.data = this;
}

// Gives the descriptor to libuv, when there is something to wait for. Most clients send their request with the last
// segment of the handshake, and what is small can be written at once: a connection for one request is never watched,
// which saves the calls that add it to epoll and remove it again.
bool SocketStream::watch() {
  if (watched_) return true;
  const int error = uv_tcp_open(&handle_, fd_);
  if (error == UV_EEXIST) give_up_worker(fd_);
  watched_ = error == 0;
  if (!watched_) fail();
  return watched_;
}

void SocketStream::start_reading() {
  reading_ = true;
  // Only the first time: later, another connection may be using read_buffer_ further up the stack.
  if (!std::exchange(read_before_, true)) {
    read_now();
    if (closing_ || failed_ || !reading_) return;
  }
  if (!watch()) return;
  const auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    auto* self = static_cast<SocketStream*>(handle->data);
    self->notes_.begin_read();
    buffer->base = self->read_buffer_.data();
    buffer->len = self->read_size();
  };
  const auto read = [](uv_stream_t* handle, ssize_t size, const uv_buf_t* buffer) {
    static_cast<SocketStream*>(handle->data)->received(size, buffer->base);
  };
  const int error = uv_read_start(stream(), allocate, read);
  reading_ = error == 0 || error == UV_EALREADY;
}

// No more than the ledger keeps, unless the protocol reads on all the same.
std::size_t SocketStream::read_size() const noexcept {
  const std::size_t room = notes_.room();
  return room == 0 ? read_buffer_.size() : std::min(room, read_buffer_.size());
}

void SocketStream::read_now() {
  notes_.begin_read();
  const ssize_t size = ::recv(fd_, read_buffer_.data(), read_size(), 0);
  if (size > 0) return received(size, read_buffer_.data());
  if (size == 0) return received(UV_EOF, nullptr);
  received(errno == EAGAIN || errno == EINTR ? 0 : -errno, nullptr);
}

void SocketStream::stop_reading() noexcept {
  if (watched_) uv_read_stop(stream());
  reading_ = false;
}

void SocketStream::received(ssize_t size, const char* bytes) {
  notes_.end_read(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (size > 0) {
    events_->on_data({bytes, static_cast<std::size_t>(size)});
  } else if (size == UV_EOF) {
    read_stop();
    events_->on_end();
  } else if (size == UV_EIO) {  // only a socket with kernel TLS fails so
    read_stop();
    events_->on_other_record();
  } else if (size < 0) {
    fail();
  }
}

bool SocketStream::has_input() const noexcept {
  char byte = 0;
  return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void SocketStream::write(std::string_view first, std::string_view second) {
  if (closing_ || failed_ || first.size() + second.size() == 0) return;
  notes_.will_write(first, second, queued_ != 0);
  if (send(first, second, false)) notes_.all_written();
}

void SocketStream::write_owed(std::string_view bytes, std::unique_ptr<detail::FilePart> part) {
  if (part != nullptr) return send_file(bytes, std::move(part));
  if (send(bytes, {}, false)) notes_.all_written();
}

// Whether the socket has taken everything that was ever sent.
inline bool SocketStream::send(std::string_view first, std::string_view second, bool more) {
  const std::size_t total = first.size() + second.size();
  if (total == 0) return queued_ == 0;
  const ssize_t result = queued_ == 0 ? try_write(first, second, more) : 0;
  if (result < 0) {
    fail();
    return false;
  }
  const auto sent = static_cast<std::size_t>(result);
  bytes_sent_ += sent;
  if (sent == total) return true;
  queue_rest(first, second, sent);
  return false;
}

void SocketStream::queue_rest(std::string_view first, std::string_view second, std::size_t sent) {
  std::string rest;
  rest.reserve(first.size() + second.size() - sent);
  if (sent < first.size()) {
    rest.append(first.substr(sent)).append(second);
  } else {
    rest.append(second.substr(sent - first.size()));
  }
  if (queued_ == 0) notes_.keep_rest(rest);  // what waits behind others is in blocks
  queue_write(std::move(rest));
}

// Returns how much the socket took, which may be nothing, or -1 when the connection is broken.
inline ssize_t SocketStream::try_write(std::string_view first, std::string_view second, bool more) noexcept {
  const int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
  for (;;) {
    const ssize_t sent =
        second.empty() ? ::send(fd_, first.data(), first.size(), flags) : send_both(fd_, first, second, flags);
    if (sent >= 0) return sent;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS ? 0 : -1;
  }
}

void SocketStream::queue_write(std::string bytes) {
  if (!watch()) return;
  auto write = std::make_unique<PendingWrite>();
  write->bytes = std::move(bytes);
  write->request.data = write.get();
  const uv_buf_t part{write->bytes.data(), write->bytes.size()};  // uv_buf_init() takes 32 bits of the length only
  const int error = uv_write(&write->request, stream(), &part, 1, [](uv_write_t* request, int status) {
    const std::unique_ptr<PendingWrite> done(static_cast<PendingWrite*>(request->data));
    auto* self = static_cast<SocketStream*>(request->handle->data);
    if (status == 0) self->bytes_sent_ += done->bytes.size();
    self->queued_ -= done->bytes.size();
    if (status == 0) self->queued_ == 0 ? self->notes_.all_written() : self->notes_.written(self->bytes_sent_);
    self->write_finished(status);
  });
  if (error != 0) return fail();
  ++pending_writes_;
  queued_ += write.release()->bytes.size();
}

void SocketStream::write_finished(int status) {
  --pending_writes_;
  if (closing_) return;
  if (status != 0) return fail();
  if (pending_writes_ != 0) return;
  if (file_ != nullptr) pump_file();
  if (closing_ || failed_ || queued_ != 0) return;
  if (fin_ == Fin::wanted) send_fin();
  events_->on_drained();
}

void SocketStream::write_file(std::string_view first, std::unique_ptr<detail::FilePart> part) {
  if (closing_ || failed_) return;
  notes_.will_write_file(first, queued_ != 0, part->file->fd(), part->offset, part->length);
  send_file(first, std::move(part));
}

void SocketStream::send_file(std::string_view first, std::unique_ptr<detail::FilePart> part) {
  static_cast<void>(send(first, {}, true));
  if (closing_ || failed_) return;
  file_ = std::move(part);
  ++queued_;
  if (pending_writes_ == 0) pump_file();
}

// Sends until the socket is full, then waits for room.
void SocketStream::pump_file() {
  detail::FilePart& part = *file_;
  for (int calls = 0; part.length > 0 && calls < kSendfileCallsPerTurn; ++calls) {
    auto offset = static_cast<off_t>(part.offset);
    const ssize_t sent = ::sendfile(fd_, part.file->fd(), &offset,
                                    static_cast<std::size_t>(std::min<std::uint64_t>(part.length, kSendfileChunk)));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) break;
    file_was_short_ = sent == 0;
    if (sent <= 0) return fail();
    part.offset += static_cast<std::uint64_t>(sent);
    part.length -= static_cast<std::uint64_t>(sent);
    bytes_sent_ += static_cast<std::uint64_t>(sent);
  }
  if (part.length > 0) return queue_file_piece();
  if (--queued_ == 0) notes_.all_written();
  file_.reset();
}

// libuv watches the descriptor already, and a descriptor has one watcher: so a piece is copied and queued with
// uv_write, whose end tells that there is room again.
void SocketStream::queue_file_piece() {
  detail::FilePart& part = *file_;
  std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(part.length, kFilePiece)), '\0');
  const ssize_t size = ::pread(part.file->fd(), piece.data(), piece.size(), static_cast<off_t>(part.offset));
  file_was_short_ = size == 0;
  if (size <= 0) return fail();
  piece.resize(static_cast<std::size_t>(size));
  part.offset += static_cast<std::uint64_t>(size);
  part.length -= static_cast<std::uint64_t>(size);
  queue_write(std::move(piece));
}

std::uint64_t SocketStream::acknowledged() const noexcept {
  // libuv reports a queued write only when all of it was written; its queue size tells what is left of it.
  const std::size_t copied = queued_ - (file_ != nullptr ? 1 : 0);
  const std::uint64_t written = bytes_sent_ + copied - uv_stream_get_write_queue_size(stream());
  int in_flight = 0;
  if (::ioctl(fd_, SIOCOUTQ, &in_flight) != 0) return written;
  return written - static_cast<std::uint64_t>(in_flight);
}

void SocketStream::shutdown() noexcept {
  if (closing_ || failed_ || fin_ != Fin::open) return;
  fin_ = Fin::wanted;
  if (queued_ == 0) send_fin();
}

void SocketStream::send_fin() noexcept {
  fin_ = Fin::sent;
  ::shutdown(fd_, SHUT_WR);
}

void SocketStream::fail() noexcept {
  if (failed_ || closing_) return;
  failed_ = true;
  events_->on_error();
}

// Whoever holds the socket as well. To connect a TCP socket to nothing resets its connection; others refuse that.
void SocketStream::end_connection(bool with_reset) const noexcept {
  const sockaddr nothing{.sa_family = AF_UNSPEC, .sa_data = {}};
  if (with_reset && ::connect(fd_, &nothing, sizeof nothing) == 0) return;
  ::shutdown(fd_, SHUT_RDWR);
}

void SocketStream::end(bool with_reset) noexcept {
  if (closing_) return;
  closing_ = true;
  notes_.end();
  file_.reset();
  if (with_reset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  if (shared_) end_connection(with_reset);
  if (!watched_) ::close(fd_);
  // Not a UvPtr: the handle is part of the stream, which saves an allocation for each connection.
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
           [](uv_handle_t* handle) { static_cast<SocketStream*>(handle->data)->events_->on_closed(); });
}

}  // namespace pronghorn::worker
