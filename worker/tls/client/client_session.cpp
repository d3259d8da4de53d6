#include "worker/tls/client/client_session.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

namespace pronghorn {
namespace {

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

constexpr char kAlertRecord = 21;
constexpr char kHandshakeRecord = 22;

}  // namespace

// OpenSSL reads from input_ and writes to output_ without a buffer between.
BIO_METHOD* TlsClientSession::bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pronghorn");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_read_ex(made, [](BIO* bio, char* into, std::size_t size, std::size_t* count) noexcept {
      std::string_view& input = static_cast<TlsClientSession*>(BIO_get_data(bio))->input_;
      BIO_clear_retry_flags(bio);
      *count = std::min(size, input.size());
      if (*count == 0) {
        BIO_set_retry_read(bio);
        return 0;
      }
      std::memcpy(into, input.data(), *count);
      input.remove_prefix(*count);
      return 1;
    });
    BIO_meth_set_write_ex(made, [](BIO* bio, const char* bytes, std::size_t size, std::size_t* count) noexcept {
      static_cast<TlsClientSession*>(BIO_get_data(bio))->output_.append(bytes, size);
      *count = size;
      return 1;
    });
    BIO_meth_set_ctrl(made,
                      [](BIO*, int command, long, void*) noexcept { return command == BIO_CTRL_FLUSH ? 1L : 0L; });
    BIO_meth_set_create(made, [](BIO* bio) noexcept {
      BIO_set_init(bio, 1);
      return 1;
    });
    return made;
  }();
  return method;
}

TlsClientSession::TlsClientSession(const TlsClientContext& context, std::string name)
    : name_(std::move(name)), ssl_(SSL_new(context.native())) {
  BIO* bio = ssl_ ? BIO_new(bio_method()) : nullptr;
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_connect_state(ssl_.get());
  if (name_.ends_with('.')) name_.pop_back();  // certificates name hosts without the root's dot
  X509_VERIFY_PARAM* check = SSL_get0_param(ssl_.get());
  X509_VERIFY_PARAM_set_hostflags(check, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool set = is_address(name_) ? X509_VERIFY_PARAM_set1_ip_asc(check, name_.c_str()) == 1
                                     : X509_VERIFY_PARAM_set1_host(check, name_.data(), name_.size()) == 1 &&
                                           SSL_set_tlsext_host_name(ssl_.get(), name_.c_str()) == 1;
  if (!set || name_.empty()) failure_ = {TlsClientFailure::Kind::wrong_name, "no certificate can have this name"};
  ERR_clear_error();
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER, [](int is_good, X509_STORE_CTX* store) noexcept {
    if (is_good == 1) return 1;
    auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* session = static_cast<TlsClientSession*>(SSL_get_app_data(ssl));
    session->failure_ = certificate_failure_of(store, session->name_);
    return 0;
  });
  SSL_set_cert_cb(
      ssl_.get(),
      [](SSL*, void* session) noexcept {
        static_cast<TlsClientSession*>(session)->was_asked_ = true;
        return 1;
      },
      this);
}

void TlsClientSession::feed(std::string_view ciphertext) noexcept {
  input_ = ciphertext;
  if (std::exchange(heard_, heard_ || !ciphertext.empty()) || ciphertext.empty()) return;
  if (ciphertext[0] == kHandshakeRecord || ciphertext[0] == kAlertRecord) return;
  failure_ = {TlsClientFailure::Kind::not_tls, "the server does not speak TLS on this port"};
}

TlsClientSession::Result TlsClientSession::outcome(int returned) {
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return Result::waiting;
    case SSL_ERROR_ZERO_RETURN:
      return Result::closed;
    default:
      break;
  }
  TlsClientFailure failure = tls_failure_of(ssl_.get(), was_asked_);
  if (failure_.kind == TlsClientFailure::Kind::none) failure_ = std::move(failure);  // else it was the certificate
  return Result::failed;
}

TlsClientSession::Result TlsClientSession::handshake() {
  if (failure_.kind != TlsClientFailure::Kind::none) return Result::failed;
  ERR_clear_error();
  const int returned = SSL_do_handshake(ssl_.get());
  if (returned != 1) return outcome(returned);
  established_ = true;
  return Result::done;
}

TlsClientSession::Result TlsClientSession::read(std::span<char> buffer, std::size_t& count) {
  count = 0;
  if (failure_.kind != TlsClientFailure::Kind::none) return Result::failed;
  while (count < buffer.size()) {
    std::size_t got = 0;
    ERR_clear_error();
    const int returned = SSL_read_ex(ssl_.get(), buffer.data() + count, buffer.size() - count, &got);
    count += got;
    if (returned == 1) continue;
    return outcome(returned);
  }
  return Result::done;
}

bool TlsClientSession::write(std::string_view plaintext) {
  if (failure_.kind != TlsClientFailure::Kind::none) return false;
  if (plaintext.empty()) return true;
  std::size_t written = 0;
  ERR_clear_error();
  const int returned = SSL_write_ex(ssl_.get(), plaintext.data(), plaintext.size(), &written);
  return returned == 1 || outcome(returned) == Result::done;  // all of it, because output_ takes everything
}

}  // namespace pronghorn
