// Parses the header with which a proxy begins a connection to name its client: HAProxy's PROXY protocol
// (proxy-protocol.txt), versions 1 (text) and 2 (binary).
#pragma once

#include <cstddef>
#include <string_view>

#include "pronghorn/request.h"

namespace pronghorn::worker {

// The longest header that is accepted, in bytes: addresses and many TLVs of version 2 fit. Version 1 is limited to 107.
inline constexpr std::size_t kMaxProxyHeader = 4096;

struct ProxyHeader {
  enum class State { incomplete, complete, malformed };
  State state = State::malformed;
  const char* reason = "";  // malformed: why
  std::size_t size = 0;     // complete: bytes of the header; the client's bytes follow
  bool local = false;       // complete: the proxy's own connection (a health check), so the peer is the client
  Request::Client source;   // complete, not local: the client; "unix" for a Unix socket, "unknown" if not named
};

// `bytes` are all bytes since the connection began. While the header is incomplete, call it again when there are more.
// Strict: numbers in their shortest form, one blank between fields, no missing fields, no datagram families. TLVs of
// version 2 are skipped.
[[nodiscard]] ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace pronghorn::worker
