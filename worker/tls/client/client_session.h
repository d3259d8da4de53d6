// One TLS connection as a client sees it, without I/O: its owner moves the bytes.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/tls/client_context.h"
#include "common/tls/client_failure.h"

namespace pronghorn {

// handshake() until it is done, then write() and read(). After each call output() may hold bytes for the server. Owner's
// part: to send output() in order, and to feed() what arrives.
//
// Context: one thread at a time. Nothing throws except the constructor, and std::bad_alloc.
class TlsClientSession {
 public:
  // The server must show a certificate for `name`, a host name or an IP address; a host name is sent as SNI. The
  // context must outlive the session.
  TlsClientSession(const TlsClientContext& context, std::string name);
  TlsClientSession(const TlsClientSession&) = delete;
  TlsClientSession& operator=(const TlsClientSession&) = delete;

  enum class Result {
    done,     // the handshake is over, or bytes were read
    waiting,  // nothing more without further bytes of the server; all that was fed is used up
    closed,   // the server has ended the connection in order
    failed,   // for good; see failure()
  };

  // Bytes from the server. They must stay where they are until handshake() or read() returns `waiting`, `closed` or
  // `failed`.
  void feed(std::string_view ciphertext) noexcept;
  [[nodiscard]] Result handshake();
  [[nodiscard]] bool established() const noexcept { return established_; }
  // Fills `buffer` as far as possible; `count` is how many bytes it got.
  [[nodiscard]] Result read(std::span<char> buffer, std::size_t& count);
  // Encrypts all of `plaintext` into output(). False: failed.
  [[nodiscard]] bool write(std::string_view plaintext);

  // What is to be sent. The owner takes the bytes away.
  [[nodiscard]] std::string& output() noexcept { return output_; }
  [[nodiscard]] const TlsClientFailure& failure() const noexcept { return failure_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };
  static BIO_METHOD* bio_method();
  [[nodiscard]] Result outcome(int returned);

  std::string name_;
  std::string_view input_;
  std::string output_;
  TlsClientFailure failure_;
  bool heard_ = false;      // the server has sent something
  bool was_asked_ = false;  // for a client certificate
  bool established_ = false;
  std::unique_ptr<SSL, Free> ssl_;
};

}  // namespace pronghorn
