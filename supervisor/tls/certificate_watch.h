// Publishes the certificates that are served, for /status, and warns in the log before one expires.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "supervisor/tls/tls_material.h"

namespace pronghorn::supervisor {

// Context: supervisor, main thread. `server` must outlive it. Times are in seconds since 1970.
class CertificateWatch {
 public:
  explicit CertificateWatch(ServerRow& server) noexcept : server_(server) {}

  // Workers serve this from now on; null: no TLS. Logs its doubts, unless they are the same as before.
  void use(std::shared_ptr<const TlsMaterial> material, std::int64_t now);
  // Call about once a minute. Logs one line when a certificate reaches renew_by(), again when it has 7, 3 and 1 days
  // left, and when it has expired; the same for an OCSP response that is out of date.
  void tick(std::int64_t now);

 private:
  struct Told {
    std::int64_t not_after;  // of the certificate; a renewed one has another
    std::int64_t mark;       // the last one that was logged
  };
  void publish();

  ServerRow& server_;
  std::shared_ptr<const TlsMaterial> material_;
  std::vector<std::string> told_doubts_;
  std::map<std::string, Told> told_marks_;           // by file
  std::map<std::string, std::int64_t> told_staple_;  // by file: the response that was logged
};

}  // namespace pronghorn::supervisor
