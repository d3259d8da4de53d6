#include "worker/state/keys/digest.h"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace pronghorn::worker {
namespace {

std::string digest_hex(std::string_view bytes, const EVP_MD* algorithm) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, algorithm, nullptr) != 1) throw_digest_failed();
  return to_hex(std::span(digest).first(size));
}

}  // namespace

std::string sha1_hex(std::string_view bytes) { return digest_hex(bytes, EVP_sha1()); }
std::string sha256_hex(std::string_view bytes) { return digest_hex(bytes, EVP_sha256()); }

std::string to_hex(std::span<const unsigned char> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

void throw_digest_failed() { throw std::runtime_error("OpenSSL cannot compute the digest"); }

}  // namespace pronghorn::worker
