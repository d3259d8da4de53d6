// The header that a proxy sends before anything else, so that who is behind it learns who the client is: haproxy's
// PROXY protocol (proxy-protocol.txt), versions 1 (text) and 2 (binary).
#pragma once

#include <cstddef>
#include <string_view>

#include "pronghorn/request.h"

namespace pronghorn::worker {

// Bytes of the longest header of version 2 that is taken; the addresses and many TLVs fit. Version 1 has its own limit,
// 107 bytes.
inline constexpr std::size_t kMaxProxyHeader = 4096;

struct ProxyHeader {
  enum class State { incomplete, complete, malformed };
  State state = State::malformed;
  const char* reason = "";  // malformed: why
  std::size_t size = 0;     // complete: bytes of the header; what follows is the client's
  bool local = false;       // complete: the proxy's own connection (a health check): its address is the client's
  Client source;            // complete, not local: the client; "unix" for a Unix socket, "unknown" when not told
};

// `bytes` is what has come since the connection began; called again with more of them while the header is incomplete.
// Strict: numbers in their shortest form, one blank between fields, nothing missing, no datagram families. TLVs of
// version 2 are skipped.
[[nodiscard]] ProxyHeader parse_proxy_header(std::string_view bytes);

}  // namespace pronghorn::worker
