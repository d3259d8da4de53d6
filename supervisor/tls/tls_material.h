// The certificates of one generation of workers: read from their files, checked, and ready to be passed on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/fd.h"
#include "supervisor/tls/certificate_facts.h"

namespace pronghorn::supervisor {

// Its memory holds the private keys until the last generation that uses it has gone.
struct TlsMaterial {
  Fd credentials;  // a memfd of write_tls_credentials()
  std::vector<CertificateFacts> certificates;
  std::vector<std::string> doubts;  // of all; one line each
};

// Whether an address of `listen` begins with https://.
[[nodiscard]] bool serves_https(const Config& config) noexcept;

// Reads the files that the configuration names. Null without https. Files that do not fit each other are read again,
// up to three times within 200 ms: whoever renews a certificate writes its files one after the other.
//
// Throws std::runtime_error with one line that names the file and says what is wrong. Blocks for that time.
// Context: supervisor, main thread.
[[nodiscard]] std::shared_ptr<const TlsMaterial> load_tls_material(const Config& config);

// Takes over the memory of an earlier image of this program. Null if it is not of this build, or `fd` is -1.
[[nodiscard]] std::shared_ptr<const TlsMaterial> adopt_tls_material(int fd) noexcept;

// Whether one of its certificates has expired.
[[nodiscard]] bool has_expired(const TlsMaterial& material, std::int64_t now) noexcept;

}  // namespace pronghorn::supervisor
