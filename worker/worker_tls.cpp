#include "worker/worker_tls.h"

#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/log.h"
#include "common/tls/credentials.h"
#include "worker/net/socket/kernel_tls.h"
#include "worker/tls/kernel/traffic_secrets.h"

namespace pronghorn::worker {
namespace {

// All workers find the same; the first one says so.
bool has_kernel_tls(unsigned slot) {
  const std::string why_not = why_no_kernel_tls();
  if (slot != 0) return why_not.empty();
  if (why_not.empty()) {
    log_info("kernel TLS is in use: HTTP/1.1 connections over TLS 1.3 survive their worker");
  } else {
    log_info("TLS connections end with their worker: the kernel does not offer TLS", {{"reason", why_not}});
  }
  return why_not.empty();
}

}  // namespace

bool has_certificates(const Handover& handover) {
  if (handover.tls_credentials_fd >= 0) return true;
  const bool needed = std::ranges::any_of(handover.listeners, &InheritedListener::is_https);
  if (needed) throw std::runtime_error("a listener speaks TLS and there is no certificate; see --tls-certificate");
  return false;
}

WorkerTls::WorkerTls(Handover& handover, WorkerRow& row, bool survives)
    : keys_(TicketKeys::attach(std::exchange(handover.ticket_keys_fd, -1))) {
  TlsCredentials credentials = read_tls_credentials(handover.tls_credentials_fd);
  ::close(std::exchange(handover.tls_credentials_fd, -1));
  const Config& config = handover.config;
  const bool by_kernel = survives && config.kernel_tls && has_kernel_tls(handover.slot);
  service_.emplace(
      credentials,
      TlsServerContext::Options{
          .http2 = config.http2, .tickets = &keys_, .log_secret = by_kernel ? &TrafficSecrets::log_line : nullptr},
      config.http.tls_handshakes, row);
  if (by_kernel) service_->prefer_kernel();
  wipe_keys(credentials);
}

}  // namespace pronghorn::worker
