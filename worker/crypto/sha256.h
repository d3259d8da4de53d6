// SHA-256 of short texts, many times.
#pragma once

#include <array>
#include <string_view>

#include "worker/crypto/evp.h"

namespace pronghorn::worker {

using Sha256Digest = std::array<unsigned char, 32>;

// Reuses its context: OpenSSL's one-shot functions look the algorithm up each time, which takes longer than the digest
// of a token.
//
// Context: one thread. Errors: std::runtime_error if OpenSSL does not provide SHA-256.
class ShortSha256 {
 public:
  ShortSha256();
  [[nodiscard]] Sha256Digest operator()(std::string_view bytes);

 private:
  EvpDigest algorithm_;
  EvpDigestContext context_;
};

}  // namespace pronghorn::worker
