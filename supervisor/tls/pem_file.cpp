#include "supervisor/tls/pem_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/fd.h"

namespace pronghorn::supervisor {
namespace {

constexpr int kAttempts = 3;

bool is_same(const timespec& a, const timespec& b) noexcept { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

bool is_same(const struct stat& a, const struct stat& b) noexcept {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size && is_same(a.st_mtim, b.st_mtim);
}

[[noreturn]] void refuse_file(const std::string& path, std::string_view why) {
  throw std::runtime_error(fmt::format("{}: {}", path, why));
}

std::string advice(int error) {
  std::string text = std::strerror(error);
  if (error == EACCES) text += "; start the server as root with --user, or let its user read the file";
  return text;
}

// Nothing: it has changed meanwhile.
std::optional<std::string> read_once(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) refuse_file(path, advice(errno));
  struct stat before{};
  if (::fstat(fd.get(), &before) != 0) refuse_file(path, std::strerror(errno));
  if (!S_ISREG(before.st_mode)) refuse_file(path, "is not a regular file");
  if (std::cmp_greater(before.st_size, kMaxPemFile)) {
    refuse_file(path, fmt::format("has {} bytes, and a certificate file at most {}", before.st_size, kMaxPemFile));
  }
  // Of its final size from the start: a buffer that grows leaves copies of a private key.
  std::string bytes(static_cast<std::size_t>(before.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(fd.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse_file(path, std::strerror(errno));
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  struct stat after{};
  struct stat there{};  // the name may lead to another file by now
  const bool stays = done == bytes.size() && ::fstat(fd.get(), &after) == 0 && ::stat(path.c_str(), &there) == 0 &&
                     is_same(before, after) && is_same(before, there);
  if (stays) return bytes;
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return std::nullopt;
}

}  // namespace

std::string read_pem_file(const std::string& path) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (auto bytes = read_once(path)) return *std::move(bytes);
  }
  refuse_file(path, "is being written; try again when that has ended");
}

std::string read_pem_file_if_any(const std::string& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0 && errno == ENOENT) return {};
  return read_pem_file(path);
}

bool is_readable_by_all(const std::string& path) noexcept {
  struct stat facts{};
  return ::stat(path.c_str(), &facts) == 0 && (facts.st_mode & S_IROTH) != 0;
}

}  // namespace pronghorn::supervisor
