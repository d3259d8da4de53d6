// SHA-256 (FIPS 180-4) of bytes that arrive in pieces, such as an upload.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "pronghorn/detail/export.h"

namespace pronghorn {

namespace detail {
struct Sha256Context;
}

// Context: any thread, one at a time.
// Errors:  std::runtime_error if OpenSSL does not provide SHA-256.
class PRONGHORN_API Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  // Adds bytes. Has no effect after hex().
  void update(std::string_view bytes);
  // Finishes the computation and returns the digest as 64 lower-case hex digits. Calling it again returns the same
  // text.
  [[nodiscard]] std::string hex();

 private:
  std::unique_ptr<detail::Sha256Context> context_;
  std::string digest_;
};

}  // namespace pronghorn
