#include "support/tls/tls_client.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "support/eventually.h"

namespace pronghorn::test {
namespace {

constexpr timeval kTimeout{.tv_sec = 20, .tv_usec = 0};

[[noreturn]] void fail(const std::string& what) {
  const unsigned long error = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(error);
  ERR_clear_error();
  throw std::runtime_error("TLS: " + what + ": " + (reason != nullptr ? reason : std::strerror(errno)));
}

X509* certificate_of(BIO* pem) { return PEM_read_bio_X509(pem, nullptr, nullptr, nullptr); }

void trust(SSL_CTX* context, const std::string& pem) {
  BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  while (X509* const each = certificate_of(bio)) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), each);
    X509_free(each);
  }
  BIO_free(bio);
  ERR_clear_error();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

void present(SSL_CTX* context, const Issued& issued) {
  BIO* const certificate_text = BIO_new_mem_buf(issued.certificate.data(), static_cast<int>(issued.certificate.size()));
  BIO* const key_text = BIO_new_mem_buf(issued.key.data(), static_cast<int>(issued.key.size()));
  X509* const certificate = certificate_of(certificate_text);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(context, certificate);
  SSL_CTX_use_PrivateKey(context, key);
  X509_free(certificate);
  EVP_PKEY_free(key);
  BIO_free(certificate_text);
  BIO_free(key_text);
}

}  // namespace

struct TlsConnection::Parts {
  int fd = -1;
  SSL_CTX* context = nullptr;
  SSL* ssl = nullptr;
  std::string name;
  std::string buffer;

  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() {
    SSL_free(ssl);
    SSL_CTX_free(context);
    if (fd >= 0) ::close(fd);
  }

  void fill() {
    std::array<char, 16 * 1024> bytes{};
    ERR_clear_error();
    const int count = SSL_read(ssl, bytes.data(), static_cast<int>(bytes.size()));
    if (count <= 0) fail("the connection has ended");
    buffer.append(bytes.data(), static_cast<std::size_t>(count));
  }
};

TlsConnection::TlsConnection(const Address& address, const TlsOptions& options) : parts_(std::make_unique<Parts>()) {
  const SocketAddress to = socket_address(address);
  parts_->name = options.name;
  parts_->fd = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::setsockopt(parts_->fd, SOL_SOCKET, SO_RCVTIMEO, &kTimeout, sizeof kTimeout);
  ::setsockopt(parts_->fd, SOL_SOCKET, SO_SNDTIMEO, &kTimeout, sizeof kTimeout);
  if (::connect(parts_->fd, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0) fail("cannot connect");
  parts_->context = SSL_CTX_new(TLS_client_method());
  SSL_CTX* const context = parts_->context;
  if (!options.trust.empty()) trust(context, options.trust);
  if (options.certificate != nullptr) present(context, *options.certificate);
  if (options.version != 0) {
    SSL_CTX_set_min_proto_version(context, options.version);
    SSL_CTX_set_max_proto_version(context, options.version);
  }
  if (!options.ciphers.empty()) SSL_CTX_set_ciphersuites(context, options.ciphers.c_str());
  if (options.max_fragment != 0) SSL_CTX_set_tlsext_max_fragment_length(context, options.max_fragment);
  parts_->ssl = SSL_new(context);
  SSL_set_fd(parts_->ssl, parts_->fd);
  SSL_set_tlsext_host_name(parts_->ssl, options.name.c_str());
  if (!options.trust.empty()) SSL_set1_host(parts_->ssl, options.name.c_str());
  if (options.session) SSL_set_session(parts_->ssl, options.session.get());
  ERR_clear_error();
  if (SSL_connect(parts_->ssl) != 1) fail("the handshake has failed");
}

TlsConnection::~TlsConnection() {
  if (parts_->ssl != nullptr) SSL_shutdown(parts_->ssl);
}

TlsConnection::Response TlsConnection::get(std::string_view target) {
  std::string& buffer = parts_->buffer;
  const std::string request = "GET " + std::string(target) + " HTTP/1.1\r\nHost: " + parts_->name + "\r\n\r\n";
  ERR_clear_error();
  if (SSL_write(parts_->ssl, request.data(), static_cast<int>(request.size())) <= 0) fail("cannot send");
  std::size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) parts_->fill();
  Response response;
  response.head = buffer.substr(0, end + 2);
  buffer.erase(0, end + 4);
  if (response.head.size() > 12) response.status = std::atoi(response.head.c_str() + 9);
  response.closes = response.head.find("Connection: close") != std::string::npos;
  const std::size_t length = response.head.find("Content-Length: ");
  const std::size_t size =
      length == std::string::npos ? 0 : std::strtoul(response.head.c_str() + length + 16, nullptr, 10);
  while (buffer.size() < size) parts_->fill();
  response.body = buffer.substr(0, size);
  buffer.erase(0, size);
  return response;
}

bool TlsConnection::ends() {
  char byte = 0;
  ERR_clear_error();
  const int count = SSL_read(parts_->ssl, &byte, 1);
  return count <= 0 && SSL_get_error(parts_->ssl, count) != SSL_ERROR_WANT_READ;
}

bool TlsConnection::resumed() const noexcept { return SSL_session_reused(parts_->ssl) == 1; }

std::string TlsConnection::server_name() const {
  std::array<char, 256> name{};
  X509* const certificate = SSL_get1_peer_certificate(parts_->ssl);
  if (certificate == nullptr) return {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(),
                            static_cast<int>(name.size()));
  X509_free(certificate);
  return name.data();
}

TlsSession TlsConnection::session() const {
  SSL_SESSION* const session = SSL_get1_session(parts_->ssl);
  if (session == nullptr || SSL_SESSION_is_resumable(session) != 1) {
    SSL_SESSION_free(session);
    return nullptr;
  }
  return {session, SslSessionFree()};
}

bool wait_served_name(const Address& address, const std::string& name) {
  constexpr int kInARow = 10;
  return eventually(20s, [&] {
    for (int i = 0; i < kInARow; ++i) {
      if (TlsConnection(address).server_name() != name) return false;
    }
    return true;
  });
}

}  // namespace pronghorn::test
