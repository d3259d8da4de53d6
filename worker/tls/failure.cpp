#include "worker/tls/failure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace pronghorn::worker {

std::string_view to_text(TlsFailure failure) noexcept {
  switch (failure) {
    case TlsFailure::plain_http:
      return "plain HTTP was sent to a TLS port";
    case TlsFailure::version:
      return "the client has no TLS version that is allowed here";
    case TlsFailure::cipher:
      return "the client has no cipher, group or signature algorithm that is allowed here";
    case TlsFailure::protocol:
      return "the client has no application protocol (ALPN) that is offered here";
    case TlsFailure::certificate:
      return "the client's certificate is missing or does not verify";
    case TlsFailure::rejected:
      return "the client has refused, perhaps because it does not trust the certificate";
    case TlsFailure::client_left:
      return "the client closed the connection";
    case TlsFailure::timed_out:
      return "the handshake did not end in time";
    case TlsFailure::malformed:
      break;
  }
  return "malformed";
}

TlsFailure take_tls_failure() noexcept {
  const int reason = ERR_GET_REASON(ERR_peek_error());
  ERR_clear_error();
  if (reason >= SSL_AD_REASON_OFFSET) return TlsFailure::rejected;  // an alert
  switch (reason) {
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return TlsFailure::version;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
      return TlsFailure::cipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return TlsFailure::protocol;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return TlsFailure::certificate;
    default:
      return TlsFailure::malformed;
  }
}

}  // namespace pronghorn::worker
