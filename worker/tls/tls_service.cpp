#include "worker/tls/tls_service.h"

#include <algorithm>

#include "common/log.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kReportEveryMs = 60'000;
constexpr std::uint64_t kUnit = 1000;

Count counter_of(TlsFailure failure) noexcept {
  switch (failure) {
    case TlsFailure::plain_http:
      return Count::tls_failed_plain_http;
    case TlsFailure::version:
      return Count::tls_failed_version;
    case TlsFailure::cipher:
      return Count::tls_failed_cipher;
    case TlsFailure::protocol:
      return Count::tls_failed_protocol;
    case TlsFailure::certificate:
      return Count::tls_failed_certificate;
    case TlsFailure::rejected:
      return Count::tls_failed_rejected;
    case TlsFailure::client_left:
      return Count::tls_failed_client_left;
    case TlsFailure::timed_out:
      return Count::tls_failed_timed_out;
    case TlsFailure::malformed:
      break;
  }
  return Count::tls_failed_malformed;
}

}  // namespace

TlsService::TlsService(const TlsCredentials& credentials, const TlsServerContext::Options& options,
                       std::uint32_t handshakes, WorkerRow& row)
    : context_(credentials, options), row_(row), per_second_(handshakes), allowed_(kUnit * handshakes) {}

bool TlsService::begin() noexcept {
  if (per_second_ == 0) return true;
  if (!waiting_.empty() || allowed_ < kUnit) return false;
  allowed_ -= kUnit;
  return true;
}

TlsService::Place TlsService::wait(Applicant& applicant) {
  add(row_[Count::limit_tls_handshakes]);
  return waiting_.insert(waiting_.end(), &applicant);
}

void TlsService::tick(std::uint64_t ticks) {
  if (ticks > 0) unsent_.tick();
  if (per_second_ == 0) return;
  const std::uint64_t most = kUnit * per_second_;
  allowed_ = std::min(most, allowed_ + std::min<std::uint64_t>(ticks, 8) * kTickMs * per_second_);
  while (!waiting_.empty() && allowed_ >= kUnit) {
    allowed_ -= kUnit;
    Applicant* const next = waiting_.front();
    waiting_.pop_front();
    next->may_begin();
  }
}

void TlsService::established(const TlsFacts& facts) noexcept {
  add(row_[facts.resumed ? Count::tls_resumed : Count::tls_full]);
}

void TlsService::failed(TlsFailure failure, std::string_view peer) {
  add(row_[counter_of(failure)]);
  const bool usual =
      failure == TlsFailure::client_left || failure == TlsFailure::timed_out || failure == TlsFailure::malformed;
  if (usual) return;
  ++failed_;
  const std::uint64_t now = monotonic_ms();
  if (now < next_report_ms_) return;
  next_report_ms_ = now + kReportEveryMs;
  log_warning("TLS handshakes fail", {{"reason", to_text(failure)}, {"peer", peer}, {"since_last_report", failed_}});
  failed_ = 0;
}

}  // namespace pronghorn::worker
