// Why a TLS handshake has failed.
#pragma once

#include <cstdint>
#include <string_view>

namespace pronghorn::worker {

// By what an operator can do about it.
enum class TlsFailure : std::uint8_t {
  plain_http,   // the client speaks HTTP without TLS
  version,      // the client has no version that is allowed here
  cipher,       // no cipher, group or signature algorithm in common
  protocol,     // no application protocol in common (ALPN)
  certificate,  // the client has none, although it is required, or one that does not verify
  rejected,     // the client has refused: it does not trust the certificate, for example
  client_left,  // the client has closed the connection
  timed_out,    // the handshake did not end within header_timeout
  malformed,    // not TLS, or broken
};

// For log lines: "the client has no TLS version that is allowed here".
[[nodiscard]] std::string_view to_text(TlsFailure failure) noexcept;

// What the oldest error in OpenSSL's queue means. Empties the queue.
[[nodiscard]] TlsFailure take_tls_failure() noexcept;

}  // namespace pronghorn::worker
