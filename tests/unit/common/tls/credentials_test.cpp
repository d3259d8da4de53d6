#include "common/tls/credentials.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "support/catch.h"

using namespace pronghorn;

namespace {

TlsCredentials two_certificates() {
  return {.certificates = {{.file = "/etc/a.pem", .chain = "chain a", .key = "key a", .staple = std::string("\0\1", 2)},
                           {.file = "/etc/b.pem", .chain = "chain b", .key = "key b", .staple = ""}},
          .client_ca = "the authority",
          .client = TlsClientCertificates::required};
}

std::string content_of(int fd) {
  std::string bytes(static_cast<std::size_t>(::lseek(fd, 0, SEEK_END)), '\0');
  REQUIRE(::pread(fd, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// A memfd with any content, sealed as the supervisor does it.
int sealed(const std::string& content) {
  const int fd = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  REQUIRE(::pwrite(fd, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  REQUIRE(::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0);
  return fd;
}

}  // namespace

TEST_CASE("every worker of a generation reads the same certificates from one descriptor") {
  const int fd = write_tls_credentials(two_certificates());
  for (int worker = 0; worker < 2; ++worker) {
    const TlsCredentials read = read_tls_credentials(fd);
    REQUIRE(read.certificates.size() == 2);
    CHECK(read.certificates[0].file == "/etc/a.pem");
    CHECK(read.certificates[0].chain == "chain a");
    CHECK(read.certificates[0].key == "key a");
    CHECK(read.certificates[0].staple == std::string("\0\1", 2));
    CHECK(read.certificates[1].chain == "chain b");
    CHECK(read.certificates[1].staple.empty());
    CHECK(read.client_ca == "the authority");
    CHECK(read.client == TlsClientCertificates::required);
  }
  ::close(fd);
}

TEST_CASE("certificates that were passed to workers cannot be changed") {
  const int fd = write_tls_credentials(two_certificates());
  CHECK(::pwrite(fd, "x", 1, 0) == -1);
  CHECK(::ftruncate(fd, 0) == -1);
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  ::close(fd);
}

TEST_CASE("private keys are overwritten once they are not needed") {
  TlsCredentials credentials = two_certificates();
  credentials.certificates[0].key = std::string(100, 'k');
  const char* const key = credentials.certificates[0].key.data();
  wipe_keys(credentials);
  CHECK(credentials.certificates[0].key.empty());
  CHECK(credentials.certificates[1].key.empty());
  CHECK(std::string(key + 1, 50).find('k') == std::string::npos);  // the string still owns its memory
}

TEST_CASE("a worker refuses certificates that are cut at any byte") {
  const int whole = write_tls_credentials(two_certificates());
  const std::string content = content_of(whole);
  ::close(whole);
  for (std::size_t size = 0; size < content.size(); ++size) {
    const int fd = sealed(content.substr(0, size));
    CHECK_THROWS_AS(read_tls_credentials(fd), std::runtime_error);
    ::close(fd);
  }
  const int longer = sealed(content + "x");
  CHECK_THROWS_AS(read_tls_credentials(longer), std::runtime_error);
  ::close(longer);
}

TEST_CASE("a worker survives certificates with any number changed") {
  const int whole = write_tls_credentials(two_certificates());
  const std::string content = content_of(whole);
  ::close(whole);
  for (std::size_t at = 0; at + 4 <= content.size(); ++at) {
    for (const std::uint32_t number : {0U, 3U, 0x7fff'ffffU, 0xffff'ffffU}) {
      std::string changed = content;
      std::memcpy(changed.data() + at, &number, sizeof number);
      const int fd = sealed(changed);
      std::size_t certificates = 0;
      try {
        certificates = read_tls_credentials(fd).certificates.size();
      } catch (const std::runtime_error&) {  // the usual end
      }
      CHECK(certificates <= 2);
      ::close(fd);
    }
  }
}

TEST_CASE("a worker refuses certificates that someone else could still change") {
  const int fd = ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  const int whole = write_tls_credentials(two_certificates());
  const std::string content = content_of(whole);
  ::close(whole);
  REQUIRE(::pwrite(fd, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  CHECK_THROWS_AS(read_tls_credentials(fd), std::runtime_error);
  ::close(fd);
  CHECK_THROWS_AS(read_tls_credentials(-1), std::runtime_error);
}

TEST_CASE("more certificates than fit are refused before they are passed") {
  TlsCredentials credentials = two_certificates();
  credentials.client_ca.assign(kMaxTlsCredentials, 'x');
  CHECK_THROWS_AS(write_tls_credentials(credentials), std::length_error);
}
