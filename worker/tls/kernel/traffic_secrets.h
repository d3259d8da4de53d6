// What the kernel needs to go on with a TLS 1.3 connection that OpenSSL has begun.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/net/socket/kernel_tls.h"

namespace pronghorn::worker {

// Collects the secrets of one connection while its handshake runs, and counts the records that the server has sent by
// them. Wiped when it is destroyed.
//
// Context: loop thread.
class TrafficSecrets {
 public:
  TrafficSecrets() = default;
  TrafficSecrets(const TrafficSecrets&) = delete;
  TrafficSecrets& operator=(const TrafficSecrets&) = delete;
  ~TrafficSecrets();

  // Call before the handshake. `ssl` must not do anything after this is destroyed, unless forget() was called. Its
  // context must call log_line().
  void collect_from(SSL* ssl) noexcept;
  static void forget(SSL* ssl) noexcept;
  // For SSL_CTX_set_keylog_callback().
  static void log_line(const SSL* ssl, const char* line) noexcept;

  // Whether both secrets are there.
  [[nodiscard]] bool complete() const noexcept { return client_.size != 0 && server_.size != 0; }
  // Keys by which the server sends, from the next record on.
  [[nodiscard]] TlsKeys sending(TlsCipher cipher) const noexcept;
  // Keys by which the client sends, from this record on.
  [[nodiscard]] TlsKeys receiving(TlsCipher cipher, std::uint64_t record) const noexcept;

 private:
  struct Secret {
    std::array<unsigned char, 48> bytes{};  // as many as the hash of the cipher has
    std::size_t size = 0;                   // 0: it is not known
    void read(std::string_view hex) noexcept;
  };
  static TlsKeys keys_of(const Secret& secret, TlsCipher cipher) noexcept;
  static void on_message(int sent, int version, int type, const void* bytes, std::size_t size, SSL* ssl, void* self);

  Secret client_;
  Secret server_;
  std::uint64_t sent_ = 0;  // records, since server_ is known
};

}  // namespace pronghorn::worker
