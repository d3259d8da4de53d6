#include "common/line_writer.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace pronghorn {
namespace {

constexpr std::uint64_t kRetryMs = 100;  // so that a full disk costs a system call now and then, not one per line

std::uint64_t now_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

std::uint64_t lines_in(std::string_view text) noexcept {
  return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

// Reading is for take_back(), and lets a FIFO be opened that nobody reads yet.
int open_path(const std::string& path) noexcept {
  constexpr int kFlags = O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  const int fd = ::open(path.c_str(), O_RDWR | kFlags, 0640);
  return fd >= 0 || errno != EACCES ? fd : ::open(path.c_str(), O_WRONLY | kFlags, 0640);
}

}  // namespace

LineWriter::LineWriter(std::string path, int standard_fd)
    : path_(std::move(path)), standard_fd_(standard_fd), target_(open_target(path_, standard_fd_)) {}

LineWriter::~LineWriter() {
  flush_now();
  close();
}

LineWriter::Target LineWriter::open_target(const std::string& path, int standard_fd) {
  const bool standard = path == "-";
  const int fd = standard ? standard_fd : open_path(path);
  struct stat facts{};
  if (fd < 0 || ::fstat(fd, &facts) != 0) throw std::system_error(errno, std::generic_category());
  const Kind kind = S_ISREG(facts.st_mode) ? Kind::file : S_ISSOCK(facts.st_mode) ? Kind::socket : Kind::stream;
  if (!standard || kind != Kind::stream) return {fd, !standard, !standard, kind};
  // O_NONBLOCK belongs to the open file, which others share (the shell's terminal): a second one of our own is opened.
  // Not allowed after a change of user; then poll() before each write has to do.
  const std::string again = "/proc/self/fd/" + std::to_string(fd);
  const int own = ::open(again.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  return own < 0 ? Target{fd, false, false, kind} : Target{own, true, true, kind};
}

void LineWriter::close() noexcept {
  if (target_.owned) ::close(target_.fd);
}

void LineWriter::add(std::string_view lines) noexcept {
  try {
    if (buffer_.size() - sent_ + lines.size() > kMaxBuffered) {
      dropped_ += lines_in(lines);
      return;
    }
    if (sent_ > kMaxBuffered) {
      buffer_.erase(0, sent_);
      sent_ = 0;
    }
    buffer_ += lines;
    waiting_ += lines_in(lines);
  } catch (...) {  // out of memory
    dropped_ += lines_in(lines);
  }
}

void LineWriter::flush() noexcept {
  if (!pending() || (retry_ms_ != 0 && now_ms() < retry_ms_)) return;
  retry_ms_ = 0;
  abandoned_ = false;
  while (pending()) {
    const std::string_view chunk = next_chunk();
    const long written = write_some(chunk);
    if (written == static_cast<long>(chunk.size())) {
      sent_ += chunk.size();
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) {  // nobody will ever read it
      drop_pending();
      abandoned_ = true;
      break;
    }
    if (written > 0) wrote_part(static_cast<std::size_t>(written));
    retry_ms_ = now_ms() + kRetryMs;
    waiting_ = lines_in(std::string_view(buffer_).substr(sent_));
    return;
  }
  buffer_.clear();
  sent_ = 0;
  waiting_ = 0;
}

void LineWriter::flush_now() noexcept {
  retry_ms_ = 0;
  flush();
}

// A file takes everything at once. To a pipe or socket, at most PIPE_BUF bytes go in one piece (pipe(7)): so many whole
// lines, or a single one that is longer.
std::string_view LineWriter::next_chunk() const noexcept {
  const std::string_view left = std::string_view(buffer_).substr(sent_);
  if (target_.kind == Kind::file || left.size() <= PIPE_BUF) return left;
  const std::size_t end = left.rfind('\n', PIPE_BUF - 1);
  return left.substr(0, end != std::string_view::npos ? end + 1 : left.find('\n') + 1);
}

long LineWriter::write_some(std::string_view chunk) const noexcept {
  if (target_.kind == Kind::socket) return ::send(target_.fd, chunk.data(), chunk.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (target_.kind == Kind::stream && !target_.nonblocking) {
    pollfd writable{.fd = target_.fd, .events = POLLOUT, .revents = 0};
    if (::poll(&writable, 1, 0) <= 0) {
      errno = EAGAIN;
      return -1;
    }
  }
  return ::write(target_.fd, chunk.data(), chunk.size());
}

// The destination took `written` bytes and is full. Removes an incomplete line again, if possible; else the rest of
// that line is written next.
void LineWriter::wrote_part(std::size_t written) noexcept {
  const std::string_view taken = std::string_view(buffer_).substr(sent_, written);
  const std::size_t last = taken.rfind('\n');
  const std::size_t whole = last == std::string_view::npos ? 0 : last + 1;
  const bool removed = target_.kind == Kind::file && take_back(taken.substr(whole));
  sent_ += removed ? whole : written;
}

// Only what is ours and still at the end: another process may have written after it.
bool LineWriter::take_back(std::string_view torn) const noexcept {
  if (torn.empty()) return true;
  try {
    struct stat facts{};
    if (::fstat(target_.fd, &facts) != 0 || facts.st_size < static_cast<off_t>(torn.size())) return false;
    const off_t begin = facts.st_size - static_cast<off_t>(torn.size());
    std::string at_end(torn.size(), '\0');
    const ssize_t count = ::pread(target_.fd, at_end.data(), at_end.size(), begin);
    return count == static_cast<ssize_t>(torn.size()) && at_end == torn && ::ftruncate(target_.fd, begin) == 0;
  } catch (...) {  // out of memory
    return false;
  }
}

void LineWriter::drop_pending() noexcept { dropped_ += lines_in(std::string_view(buffer_).substr(sent_)); }

void LineWriter::reopen() {
  if (path_ == "-") return;
  const Target fresh = open_target(path_, standard_fd_);
  flush_now();
  close();
  target_ = fresh;
  flush_now();
}

}  // namespace pronghorn
