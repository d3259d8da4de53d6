#include "common/ipc/link_claims.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace pronghorn {
namespace {

constexpr std::size_t kSize = sizeof(std::atomic<std::uint64_t>);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace

std::optional<LinkClaims> LinkClaims::create() noexcept {
  const int fd = ::memfd_create("pronghorn-link", MFD_CLOEXEC);
  if (fd >= 0 && ::ftruncate(fd, kSize) == 0) return attach(fd);
  if (fd >= 0) ::close(fd);
  return std::nullopt;
}

std::optional<LinkClaims> LinkClaims::attach(int fd) noexcept {
  if (fd < 0) return std::nullopt;
  struct stat facts{};
  void* memory = MAP_FAILED;
  if (::fstat(fd, &facts) == 0 && facts.st_size == kSize) {
    memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (memory == MAP_FAILED) {
    ::close(fd);
    return std::nullopt;
  }
  return LinkClaims(fd, static_cast<std::atomic<std::uint64_t>*>(memory));
}

LinkClaims::LinkClaims(LinkClaims&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), state_(std::exchange(other.state_, nullptr)) {}

LinkClaims& LinkClaims::operator=(LinkClaims&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(state_, other.state_);
  return *this;
}

LinkClaims::~LinkClaims() {
  if (state_ == nullptr) return;
  ::munmap(state_, kSize);
  ::close(fd_);
}

bool LinkClaims::take(std::uint64_t ticket) noexcept {
  std::uint64_t before = state_->load();
  do {
    if ((before & kTakenBack) != 0) return false;
  } while (!state_->compare_exchange_weak(before, ticket));
  return true;
}

void LinkClaims::take_back() noexcept { state_->fetch_or(kTakenBack); }

std::uint64_t LinkClaims::taken() const noexcept { return state_->load() & ~kTakenBack; }

}  // namespace pronghorn
