// What the https listeners of a worker need: the certificates and ticket keys that the supervisor has handed over.
#pragma once

#include <optional>

#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "common/tls/ticket_keys.h"
#include "worker/tls/tls_service.h"

namespace pronghorn::worker {

// Whether the supervisor has handed over certificates. Throws std::runtime_error if not, although a listener speaks TLS.
[[nodiscard]] bool has_certificates(const Handover& handover);

// Context: loop thread of a worker; one per worker. Must outlive its HttpServer.
class WorkerTls {
 public:
  // Takes the descriptors of certificates and keys out of `handover`. `survives`: connections may outlive the worker, so
  // the kernel encrypts if it can; the first worker logs whether it does. Throws if OpenSSL refuses a certificate, all of
  // which the supervisor has checked when it read them.
  WorkerTls(Handover& handover, WorkerRow& row, bool survives);
  WorkerTls(const WorkerTls&) = delete;
  WorkerTls& operator=(const WorkerTls&) = delete;

  [[nodiscard]] TlsService& service() noexcept { return *service_; }

 private:
  TicketKeys keys_;
  std::optional<TlsService> service_;  // always there once constructed
};

}  // namespace pronghorn::worker
