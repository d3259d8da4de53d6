// `pronghorn certificate --self-signed [NAME…]`: a certificate for development.
#pragma once

#include <string>
#include <vector>

namespace pronghorn::server {

struct CertificateWish {
  std::vector<std::string> names;  // DNS names and addresses besides localhost, 127.0.0.1 and ::1
  std::string certificate;         // path of the file
  std::string key;
  bool replace = false;  // files that exist
};

// Makes an ECDSA key on P-256 and a certificate that it signs itself, valid from now for a year, and writes both with
// mode 0600, the key first. Returns the names that it is for. Throws UsageError if a name is invalid or a file exists,
// std::runtime_error if a file cannot be written; then neither is left behind.
std::vector<std::string> make_self_signed(const CertificateWish& wish);

}  // namespace pronghorn::server
