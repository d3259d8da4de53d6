#include "worker/state/redis/link/tls_advice.h"

namespace pronghorn::worker {
namespace {

using Kind = TlsClientFailure::Kind;

const char* advice(Kind kind) noexcept {
  switch (kind) {
    case Kind::unknown_authority:
      return "; set redis_ca to the file of its authority";
    case Kind::wrong_name:
      return "; connect by a name of the certificate, or set redis_tls_name";
    case Kind::client_certificate:
      return "; set redis_certificate and redis_key (tls-auth-clients of Redis)";
    case Kind::not_tls:
      return "; use its tls-port, or redis in the place of rediss";
    case Kind::none:
    case Kind::expired:
    case Kind::bad_certificate:
    case Kind::other:
      break;
  }
  return "";
}

}  // namespace

std::string with_advice(const TlsClientFailure& failure) { return failure.text + advice(failure.kind); }

bool is_misconfigured(const TlsClientFailure& failure) noexcept { return *advice(failure.kind) != '\0'; }

}  // namespace pronghorn::worker
