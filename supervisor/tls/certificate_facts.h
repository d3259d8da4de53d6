// What an operator wants to know about a certificate.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/tls/credentials.h"

namespace pronghorn::supervisor {

struct CertificateFacts {
  std::string file;
  std::vector<std::string> names;     // DNS names and addresses that it is valid for; without any, its common name
  std::int64_t not_before = 0;        // seconds since 1970
  std::int64_t not_after = 0;         // seconds since 1970
  std::int64_t staple_until = 0;      // of its OCSP response; 0: there is none, or it has no end
  std::vector<std::string> doubts{};  // what a server can live with, such as a chain that ends early; one line each
};

// "example.org, *.example.org"; shortened after `limit` bytes.
[[nodiscard]] std::string names_text(const CertificateFacts& facts, std::size_t limit);

[[nodiscard]] bool has_private_key(std::string_view pem) noexcept;

// `now`: seconds since 1970, for doubts. Throws std::runtime_error as load_certificate() does.
[[nodiscard]] CertificateFacts facts_of(const TlsCertificate& certificate, bool check_dates, std::int64_t now);

// Checks that the text holds at least one certificate. Throws std::runtime_error with one line that begins with `file`.
void check_authorities(const std::string& file, const std::string& pem);

// When somebody must be told that it has not been renewed, in seconds since 1970: two thirds into its lifetime, but not
// earlier than 14 days before its end.
[[nodiscard]] std::int64_t renew_by(const CertificateFacts& facts) noexcept;

// 2026-11-30T22:15:00Z
[[nodiscard]] std::string utc_text(std::int64_t seconds);

}  // namespace pronghorn::supervisor
