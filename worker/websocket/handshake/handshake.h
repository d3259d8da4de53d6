// The opening handshake of WebSocket connections, on the server's side (RFC 6455 section 4.2; over HTTP/2: RFC 8441
// section 5).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/fields/request_head.h"
#include "worker/websocket/protocol/deflate.h"

namespace pronghorn::worker {

// What a route accepts. Views the application's texts, which must outlive the answers.
struct HandshakeRules {
  std::span<const std::string> protocols = {};  // that the application speaks, the preferred ones first
  std::span<const std::string> origins =
      {};                   // of pages that may connect, beside those of the same origin: see is_origin()
  bool any_origin = false;  // pages of every origin may connect
  bool compress = true;     // accepts permessage-deflate
};

struct Handshake {
  int status = 101;
  std::string_view refusal = {};  // why not 101: one sentence
  // Of an answer 101:
  std::string accept_key = {};     // empty over HTTP/2, whose handshake has no keys
  std::string_view protocol = {};  // of the rules; empty: none that both sides speak
  std::optional<DeflateTerms> deflate = std::nullopt;
  std::string extensions = {};  // the value of Sec-WebSocket-Extensions

  [[nodiscard]] bool accepted() const noexcept { return status == 101; }
  // The fields that the response must have: those of an accepted handshake (section 4.2.2), or for 426 what the client
  // has to send (RFC 9110 section 15.5.22). Views of this object.
  [[nodiscard]] std::vector<Header> fields() const;
};

// Answers a request for a WebSocket route: of HTTP/1.1, or an extended CONNECT of HTTP/2 (RequestHead::tunnel). `host`
// and `https` are how the client reached the server (Request::host() and scheme(), which know of trusted proxies).
//  - 426: no request for an upgrade to WebSocket, or to another version of it than 13;
//  - 400: a malformed handshake, or one with a body;
//  - 403: the page that connects is of another origin. A request without Origin does not come from a browser, so it
//    cannot misuse a user's cookies; it is accepted.
// A client whose subprotocols the application does not speak is accepted without one; browsers then close.
[[nodiscard]] Handshake answer_handshake(const RequestHead& head, std::string_view host, bool https,
                                         const HandshakeRules& rules);

// The value of Sec-WebSocket-Accept that answers a key. Clients compare it.
[[nodiscard]] std::string websocket_accept_key(std::string_view key);

}  // namespace pronghorn::worker
