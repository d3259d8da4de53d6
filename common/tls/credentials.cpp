#include "common/tls/credentials.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace pronghorn {
namespace {

// The memfd: kMark, the mode for client certificates, the number of certificates, then all texts, each after its
// length. Numbers are 32 bits in the machine's order: the reader is on the same machine.
constexpr std::string_view kMark = "pronghorn tls 1\n";
constexpr int kCredentialSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

// Holds private keys, so it has its final size from the start (a larger buffer would leave copies) and is wiped.
class SecretBuffer {
 public:
  explicit SecretBuffer(std::size_t size) : bytes_(size, '\0') {}
  SecretBuffer(const SecretBuffer&) = delete;
  SecretBuffer& operator=(const SecretBuffer&) = delete;
  ~SecretBuffer() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  [[nodiscard]] std::string& bytes() noexcept { return bytes_; }

 private:
  std::string bytes_;
};

class Writer {
 public:
  explicit Writer(std::string& out) noexcept : out_(out) {}
  void raw(std::string_view bytes) noexcept {
    std::memcpy(out_.data() + at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  void number(std::size_t value) noexcept {
    const auto narrow = static_cast<std::uint32_t>(value);
    raw({reinterpret_cast<const char*>(&narrow), sizeof narrow});
  }
  void text(std::string_view text) noexcept {
    number(text.size());
    raw(text);
  }

 private:
  std::string& out_;
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::string_view in) noexcept : in_(in) {}
  std::string_view raw(std::size_t size) {
    if (size > in_.size()) throw std::runtime_error("it ends too early");
    const std::string_view bytes = in_.substr(0, size);
    in_.remove_prefix(size);
    return bytes;
  }
  std::uint32_t number() {
    std::uint32_t value = 0;
    std::memcpy(&value, raw(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(raw(number())); }
  [[nodiscard]] bool at_end() const noexcept { return in_.empty(); }

 private:
  std::string_view in_;
};

constexpr std::size_t stored_size(std::size_t text) noexcept { return sizeof(std::uint32_t) + text; }

std::size_t size_of(const TlsCredentials& credentials) noexcept {
  std::size_t size = kMark.size() + 2 * sizeof(std::uint32_t) + stored_size(credentials.client_ca.size());
  for (const TlsCertificate& each : credentials.certificates) {
    for (const std::string* text : {&each.file, &each.chain, &each.key, &each.staple}) {
      size += stored_size(text->size());
    }
  }
  return size;
}

void serialise(const TlsCredentials& credentials, std::string& out) noexcept {
  Writer writer(out);
  writer.raw(kMark);
  writer.number(static_cast<std::size_t>(credentials.client));
  writer.number(credentials.certificates.size());
  writer.text(credentials.client_ca);
  for (const TlsCertificate& each : credentials.certificates) {
    for (const std::string* text : {&each.file, &each.chain, &each.key, &each.staple}) writer.text(*text);
  }
}

TlsCredentials parse(std::string_view text) {
  Reader reader(text);
  if (reader.raw(kMark.size()) != kMark) throw std::runtime_error("it does not begin as it should");
  TlsCredentials credentials;
  const std::uint32_t client = reader.number();
  if (client > static_cast<std::uint32_t>(TlsClientCertificates::required)) {
    throw std::runtime_error("it names an unknown mode for client certificates");
  }
  credentials.client = static_cast<TlsClientCertificates>(client);
  const std::uint32_t count = reader.number();
  credentials.client_ca = reader.text();
  for (std::uint32_t i = 0; i < count; ++i) {  // not reserved: the number may be wrong
    TlsCertificate& each = credentials.certificates.emplace_back();
    for (std::string* part : {&each.file, &each.chain, &each.key, &each.staple}) *part = reader.text();
  }
  if (!reader.at_end()) throw std::runtime_error("it goes on after its end");
  return credentials;
}

bool write_all(int fd, std::string_view bytes) noexcept {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    done += static_cast<std::size_t>(written);
  }
  return true;
}

bool read_all(int fd, std::string& bytes) noexcept {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace

void wipe_keys(TlsCredentials& credentials) noexcept {
  for (TlsCertificate& each : credentials.certificates) {
    OPENSSL_cleanse(each.key.data(), each.key.size());
    each.key.clear();
  }
}

int write_tls_credentials(const TlsCredentials& credentials) {
  const std::size_t size = size_of(credentials);
  if (size > kMaxTlsCredentials) throw std::length_error("the certificates are too large to pass to workers");
  SecretBuffer buffer(size);
  serialise(credentials, buffer.bytes());
  const int fd = ::memfd_create("pronghorn-tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "cannot pass certificates to workers");
  if (!write_all(fd, buffer.bytes()) || ::fcntl(fd, F_ADD_SEALS, kCredentialSeals) != 0) {
    const int error = errno;
    ::close(fd);
    throw std::system_error(error, std::generic_category(), "cannot pass certificates to workers");
  }
  return fd;
}

TlsCredentials read_tls_credentials(int fd) {
  try {
    // Without the seals its size could change while it is read.
    if (::fcntl(fd, F_GET_SEALS) != kCredentialSeals) throw std::runtime_error("it is not sealed");
    struct stat facts{};
    if (::fstat(fd, &facts) != 0 || facts.st_size < 0 || std::cmp_greater(facts.st_size, kMaxTlsCredentials)) {
      throw std::runtime_error("it has no usable size");
    }
    SecretBuffer buffer(static_cast<std::size_t>(facts.st_size));
    if (!read_all(fd, buffer.bytes())) throw std::runtime_error("it cannot be read");
    return parse(buffer.bytes());
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string("the supervisor's certificates are of another build: ") + error.what());
  }
}

}  // namespace pronghorn
