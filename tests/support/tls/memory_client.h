// A TLS client without a socket: whoever has the object carries its bytes.
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "support/tls/issued.h"

namespace pronghorn::test {

struct MemoryClientOptions {
  std::string name = "localhost";       // asked for (SNI); empty: none
  int version = 0;                      // TLS1_2_VERSION, TLS1_3_VERSION; 0: any
  std::string ciphers{};                // of TLS 1.2; empty: OpenSSL's
  std::string signatures{};             // algorithms; empty: OpenSSL's
  std::string protocols{};              // ALPN, each after its length; empty: none
  const Issued* certificate = nullptr;  // of the client
  std::shared_ptr<SSL_SESSION> session{};
  bool asks_status = false;  // for a stapled OCSP response
  bool weak = false;         // security level 0: versions and ciphers of old
};

class MemoryClient {
 public:
  explicit MemoryClient(const MemoryClientOptions& options = {})
      : context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free), ssl_(nullptr, &SSL_free) {
    SSL_CTX* const context = context_.get();
    if (options.weak) SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, options.version != 0 ? options.version : TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, options.version);
    if (!options.ciphers.empty()) SSL_CTX_set_cipher_list(context, options.ciphers.c_str());
    if (!options.signatures.empty()) SSL_CTX_set1_sigalgs_list(context, options.signatures.c_str());
    if (options.certificate != nullptr) use(*options.certificate);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context, this);
    SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
      auto* const self = static_cast<MemoryClient*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
      self->session_ = std::shared_ptr<SSL_SESSION>(session, &SSL_SESSION_free);
      return 1;
    });
    ssl_.reset(SSL_new(context));
    if (!options.name.empty()) SSL_set_tlsext_host_name(ssl_.get(), options.name.c_str());
    if (!options.protocols.empty()) {
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(options.protocols.data()),
                          static_cast<unsigned>(options.protocols.size()));
    }
    if (options.session) SSL_set_session(ssl_.get(), options.session.get());
    if (options.asks_status) SSL_set_tlsext_status_type(ssl_.get(), TLSEXT_STATUSTYPE_ocsp);
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }
  MemoryClient(const MemoryClient&) = delete;
  MemoryClient& operator=(const MemoryClient&) = delete;

  // What the client sends: its flight of the handshake, what was written.
  std::string sends() {
    if (!failed_) handshake();
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &bytes);
    std::string all(bytes, static_cast<std::size_t>(size));
    static_cast<void>(BIO_reset(SSL_get_wbio(ssl_.get())));
    return all;
  }
  void receives(std::string_view bytes) {
    if (bytes.empty()) return;
    BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    handshake();
  }
  bool write(std::string_view plain) {
    return SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())) == static_cast<int>(plain.size());
  }
  // What has arrived and was decrypted since the last call.
  std::string read() {
    std::string all;
    std::string piece(16 * 1024, '\0');
    for (int size = 0; (size = SSL_read(ssl_.get(), piece.data(), static_cast<int>(piece.size()))) > 0;) {
      all.append(piece, 0, static_cast<std::size_t>(size));
      ++records_;
    }
    if (SSL_get_error(ssl_.get(), -1) == SSL_ERROR_SSL) note_failure();
    return all;
  }
  void close() { SSL_shutdown(ssl_.get()); }

  [[nodiscard]] bool done() const { return SSL_is_init_finished(ssl_.get()) != 0; }
  // The server has said close_notify. After read().
  [[nodiscard]] bool told_end() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }
  // Why the handshake has failed, as OpenSSL says it; empty: it has not.
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(ssl_.get()) != 0; }
  // Of the last ticket; null: there was none. A copy by way of its bytes: OpenSSL marks what it has resumed as used up.
  [[nodiscard]] std::shared_ptr<SSL_SESSION> session() const {
    if (session_ == nullptr) return nullptr;
    std::string bytes(static_cast<std::size_t>(i2d_SSL_SESSION(session_.get(), nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(bytes.data());
    i2d_SSL_SESSION(session_.get(), &out);
    const auto* in = reinterpret_cast<const unsigned char*>(bytes.data());
    return {d2i_SSL_SESSION(nullptr, &in, static_cast<long>(bytes.size())), &SSL_SESSION_free};
  }
  [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }
  [[nodiscard]] int records() const noexcept { return records_; }
  [[nodiscard]] std::string cipher() const { return SSL_get_cipher_name(ssl_.get()); }
  [[nodiscard]] std::string protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  // The common name of the server's certificate.
  [[nodiscard]] std::string server() const {
    X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return {};
    char name[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    return name;
  }

 private:
  void handshake() {
    if (done() || failed_) return;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), result);
    if (result != 1 && error != SSL_ERROR_WANT_READ) note_failure();
  }
  void note_failure() {
    failed_ = true;
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    if (failure_.empty()) failure_ = reason != nullptr ? reason : "ended";
  }
  void use(const Issued& issued) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> pem(
        BIO_new_mem_buf(issued.certificate.data(), static_cast<int>(issued.certificate.size())), &BIO_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> key(
        BIO_new_mem_buf(issued.key.data(), static_cast<int>(issued.key.size())), &BIO_free);
    X509* const certificate = PEM_read_bio_X509(pem.get(), nullptr, nullptr, nullptr);
    EVP_PKEY* const private_key = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr);
    SSL_CTX_use_cert_and_key(context_.get(), certificate, private_key, nullptr, 1);
    X509_free(certificate);
    EVP_PKEY_free(private_key);
  }

  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  std::shared_ptr<SSL_SESSION> session_;
  std::string failure_;
  int records_ = 0;
  bool failed_ = false;
};

}  // namespace pronghorn::test
