// Ownership of descriptors.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace pronghorn {

// Sole owner of a descriptor, which it closes. Empty: -1.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void reset() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// Sets whether the descriptor survives exec. Every descriptor of ours is close-on-exec, except while the supervisor
// replaces its own program.
inline void set_inheritable(int fd, bool inheritable) noexcept { ::fcntl(fd, F_SETFD, inheritable ? 0 : FD_CLOEXEC); }

}  // namespace pronghorn
