#include "worker/state/relay/relay_pipe.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::size_t kRead = 64 * 1024;
constexpr int kReadsPerTurn = 8;  // then other descriptors of the loop have their turn
constexpr std::size_t kPieces = 64;

}  // namespace

RelayPipe::RelayPipe(uv_loop_t* loop, int fd, Owner& owner)
    : loop_(loop), fd_(fd), owner_(owner), prepare_(make_uv(loop, uv_prepare_init, this)) {
  auto poll = std::make_unique<uv_poll_t>();
  if (const int error = uv_poll_init(loop, poll.get(), fd); error != 0) {
    ::close(fd);
    throw std::runtime_error(std::string("cannot watch a link of the relay: ") + uv_strerror(error));
  }
  poll_.reset(poll.release());
  poll_->data = this;
  watch();
}

RelayPipe::~RelayPipe() {
  *alive_ = false;
  poll_.reset();  // before the descriptor that it watches
  ::close(fd_);
}

void RelayPipe::watch() {
  if (over_) {
    uv_poll_stop(poll_.get());
    return;
  }
  const int events = UV_READABLE | (blocked_ ? UV_WRITABLE : 0);
  uv_poll_start(poll_.get(), events, [](uv_poll_t* handle, int status, int happened) {
    if (handle->data != nullptr) static_cast<RelayPipe*>(handle->data)->ready(status, happened);
  });
}

void RelayPipe::ready(int status, int events) {
  const std::shared_ptr<bool> alive = alive_;
  if (status < 0) return ended();
  if ((events & UV_WRITABLE) != 0) {
    blocked_ = false;
    write_queued();
    watch();
  }
  for (int i = 0; i < kReadsPerTurn && *alive && !over_ && read_some(); ++i) {
  }
}

// ---- in

// False if there is nothing more to read now, or nobody to read for.
bool RelayPipe::read_some() {
  std::array<char, kRead> bytes;
  const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return errno == EINTR;
  if (got <= 0) {
    ended();
    return false;
  }
  reader_.feed({bytes.data(), static_cast<std::size_t>(got)});
  return take_records() && static_cast<std::size_t>(got) == bytes.size();
}

bool RelayPipe::take_records() {
  const std::shared_ptr<bool> alive = alive_;
  RelayRecord record;
  for (;;) {
    const RelayReader::Next next = reader_.next(record);
    if (next == RelayReader::Next::incomplete) return true;
    if (next == RelayReader::Next::malformed) {
      ended();
      return false;
    }
    owner_.pipe_record(*this, record);
    if (!*alive) return false;
  }
}

void RelayPipe::ended() {
  if (std::exchange(over_, true)) return;
  watch();
  owner_.pipe_ended(*this);
}

// ---- out

void RelayPipe::send(Bytes record) {
  if (over_) return;
  queued_ += record->size();
  queue_.push_back(std::move(record));
  if (blocked_ || std::exchange(gathers_, true)) return;
  write_queued();
  uv_prepare_start(prepare_.get(), [](uv_prepare_t* prepare) { static_cast<RelayPipe*>(prepare->data)->flush(); });
}

void RelayPipe::drop_queued() {
  const std::size_t keep = written_ > 0 ? 1 : 0;
  while (queue_.size() > keep) {
    queued_ -= queue_.back()->size();
    queue_.pop_back();
  }
}

void RelayPipe::flush() {
  gathers_ = false;
  uv_prepare_stop(prepare_.get());
  if (!blocked_) write_queued();
}

// An error shows when the socket is read.
void RelayPipe::write_queued() {
  while (!queue_.empty()) {
    std::array<iovec, kPieces> pieces{};
    std::size_t count = 0;
    std::size_t skip = written_;
    for (const Bytes& record : queue_) {
      if (count == kPieces) break;
      pieces[count++] = {const_cast<char*>(record->data()) + skip, record->size() - std::exchange(skip, 0)};
    }
    msghdr packet{};
    packet.msg_iov = pieces.data();
    packet.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(fd_, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      blocked_ = errno == EAGAIN;
      if (!blocked_) {
        queue_.clear();
        queued_ = written_ = 0;
      }
      return watch();
    }
    queued_ -= static_cast<std::size_t>(sent);
    written_ += static_cast<std::size_t>(sent);
    while (!queue_.empty() && written_ >= queue_.front()->size()) {
      written_ -= queue_.front()->size();
      queue_.pop_front();
    }
  }
}

}  // namespace pronghorn::worker
