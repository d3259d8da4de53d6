#include "worker/tls/kernel/traffic_secrets.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <charconv>
#include <span>

namespace pronghorn::worker {
namespace {

// HKDF-Expand-Label of RFC 8446 section 7.1, without context, for no more bytes than the hash has: one block of HKDF.
void expand(std::span<const unsigned char> secret, const EVP_MD* hash, std::string_view label,
            std::span<unsigned char> out) noexcept {
  constexpr std::string_view kPrefix = "tls13 ";
  std::array<unsigned char, 32> info{};
  auto* end = info.data();
  *end++ = 0;
  *end++ = static_cast<unsigned char>(out.size());
  *end++ = static_cast<unsigned char>(kPrefix.size() + label.size());
  end = std::ranges::copy(kPrefix, end).out;
  end = std::ranges::copy(label, end).out;
  *end++ = 0;  // the length of the context
  *end++ = 1;  // the number of the block
  std::array<unsigned char, EVP_MAX_MD_SIZE> block{};
  unsigned size = 0;
  HMAC(hash, secret.data(), static_cast<int>(secret.size()), info.data(), static_cast<std::size_t>(end - info.data()),
       block.data(), &size);
  std::copy_n(block.begin(), out.size(), out.begin());
  OPENSSL_cleanse(block.data(), block.size());
}

}  // namespace

TrafficSecrets::~TrafficSecrets() {
  OPENSSL_cleanse(client_.bytes.data(), client_.bytes.size());
  OPENSSL_cleanse(server_.bytes.data(), server_.bytes.size());
}

void TrafficSecrets::collect_from(SSL* ssl) noexcept {
  SSL_set_app_data(ssl, this);
  SSL_set_msg_callback(ssl, &on_message);
  SSL_set_msg_callback_arg(ssl, this);
}

void TrafficSecrets::forget(SSL* ssl) noexcept {
  SSL_set_app_data(ssl, nullptr);
  SSL_set_msg_callback(ssl, nullptr);
}

void TrafficSecrets::Secret::read(std::string_view hex) noexcept {
  if (hex.size() > 2 * bytes.size()) return;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) std::from_chars(&hex[i], &hex[i] + 2, bytes[i / 2], 16);
  size = hex.size() / 2;
}

// "LABEL random secret", the last two in hexadecimal.
void TrafficSecrets::log_line(const SSL* ssl, const char* text) noexcept {
  auto* const self = static_cast<TrafficSecrets*>(SSL_get_app_data(ssl));
  const std::string_view line(text);
  const std::size_t label = line.find(' ');
  if (self == nullptr || label == std::string_view::npos) return;
  const std::string_view secret = line.substr(line.rfind(' ') + 1);
  if (line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")) self->client_.read(secret);
  if (line.starts_with("SERVER_TRAFFIC_SECRET_0 ")) {
    self->server_.read(secret);
    self->sent_ = 0;
  }
}

void TrafficSecrets::on_message(int sent, int, int type, const void*, std::size_t, SSL*, void* self) {
  if (sent == 1 && type == SSL3_RT_HEADER) ++static_cast<TrafficSecrets*>(self)->sent_;
}

TlsKeys TrafficSecrets::sending(TlsCipher cipher) const noexcept {
  TlsKeys keys = keys_of(server_, cipher);
  keys.record = sent_;
  return keys;
}

TlsKeys TrafficSecrets::receiving(TlsCipher cipher, std::uint64_t record) const noexcept {
  TlsKeys keys = keys_of(client_, cipher);
  keys.record = record;
  return keys;
}

TlsKeys TrafficSecrets::keys_of(const Secret& secret, TlsCipher cipher) noexcept {
  const std::span bytes(secret.bytes.data(), secret.size);
  const EVP_MD* const hash = cipher == TlsCipher::aes_256_gcm ? EVP_sha384() : EVP_sha256();
  TlsKeys keys;
  expand(bytes, hash, "key", std::span(keys.key).first(cipher == TlsCipher::aes_128_gcm ? 16 : 32));
  expand(bytes, hash, "iv", keys.iv);
  return keys;
}

}  // namespace pronghorn::worker
