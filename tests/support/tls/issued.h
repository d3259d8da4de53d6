// Certificates for tests.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace pronghorn::test {

// A certificate and its private key, in PEM.
struct Issued {
  std::string certificate;
  std::string key;
  [[nodiscard]] std::string both() const { return certificate + key; }
};

struct IssueOptions {
  std::vector<std::string> names{"localhost"};  // DNS names; "IP:127.0.0.1" is an address. Empty: none
  std::string common_name = "test";
  std::chrono::seconds from = std::chrono::hours(-1);  // relative to now
  std::chrono::seconds until = std::chrono::hours(24 * 90);
  const Issued* issuer = nullptr;  // null: signed by itself
  bool authority = false;          // it may sign others
  bool rsa = false;                // RSA instead of ECDSA on P-256
  unsigned rsa_bits = 2048;
};

// Throws std::runtime_error if OpenSSL refuses.
[[nodiscard]] Issued issue(const IssueOptions& options = {});

}  // namespace pronghorn::test
