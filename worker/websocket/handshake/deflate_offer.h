// Negotiation of permessage-deflate: Sec-WebSocket-Extensions (RFC 6455 section 9.1, RFC 7692 sections 5 and 7.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/websocket/protocol/deflate.h"

namespace pronghorn::worker {

// One element of the field.
struct WebSocketExtension {
  struct Parameter {
    std::string_view name;
    std::optional<std::string> value;  // without quotation marks
  };
  std::string_view name;
  std::vector<Parameter> parameters;
};

// Appends the extensions of one field to `extensions`; the views point into `field`. False if it is malformed.
[[nodiscard]] bool parse_extensions(std::string_view field, std::vector<WebSocketExtension>& extensions);

struct DeflateAnswer {
  DeflateTerms terms;
  std::string field;  // the value of Sec-WebSocket-Extensions in the response
};
// The server's answer to the first offer that it can accept; nullopt if there is none. Messages are always compressed
// without context takeover on both sides. The offer of a window of 8 bits is declined, as other servers do: zlib does
// not compress with it.
[[nodiscard]] std::optional<DeflateAnswer> accept_deflate(const std::vector<WebSocketExtension>& offers);

// What a client offers.
inline constexpr std::string_view kDeflateOffer =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits";
// The terms for what a client sends, from the server's answer to kDeflateOffer. nullopt if the answer is none that a
// client can accept.
[[nodiscard]] std::optional<DeflateTerms> read_deflate_answer(std::string_view field);

}  // namespace pronghorn::worker
