#include "worker/websocket/handshake/handshake.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "worker/crypto/base64.h"
#include "worker/crypto/evp.h"
#include "worker/fields/characters.h"
#include "worker/fields/origin.h"
#include "worker/fields/sole_value.h"
#include "worker/fields/text.h"
#include "worker/websocket/handshake/deflate_offer.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kVersion = "13";
constexpr std::string_view kKeySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3

std::span<const Header> fields_of(const RequestHead& head) noexcept { return {head.fields.data(), head.field_count}; }

// Calls `visit` with the value of each field of that name, until it returns false.
template <class Visit>
bool each_value(const RequestHead& head, std::string_view name, const Visit& visit) {
  return std::ranges::all_of(fields_of(head), [&](const Header& field) {
    return !equal_ignoring_case(field.name, name) || visit(field.value);
  });
}

// Calls `visit` with each element of a list, which may be spread over several fields, until it returns false. Skips
// empty elements.
template <class Visit>
bool each_element(const RequestHead& head, std::string_view name, const Visit& visit) {
  return each_value(head, name, [&](std::string_view list) {
    while (!list.empty()) {
      const std::string_view element = take_until(list, ',');
      if (!element.empty() && !visit(element)) return false;
    }
    return true;
  });
}

bool lists(const RequestHead& head, std::string_view name, std::string_view element) {
  return !each_element(head, name, [&](std::string_view one) { return !equal_ignoring_case(one, element); });
}

// 16 bytes in base64: 22 characters and the padding. Bits beyond the last byte are of no matter: nothing decodes it.
bool is_key(std::string_view key) noexcept {
  return key.size() == 24 && key.ends_with("==") && std::ranges::all_of(key.substr(0, 22), [](char c) {
           return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '+' || c == '/';
         });
}

// False if the field is malformed: not tokens, or one of them twice (section 4.1). Few protocols are compared with few,
// because that is what routes and clients have; the limit keeps the work linear.
bool choose_protocol(const RequestHead& head, std::span<const std::string> spoken, std::string_view& chosen) {
  constexpr std::size_t kMostProtocols = 64;
  std::array<std::string_view, kMostProtocols> offered;
  std::size_t count = 0;
  const bool valid = each_element(head, "sec-websocket-protocol", [&](std::string_view name) {
    const auto end = offered.begin() + static_cast<std::ptrdiff_t>(count);
    if (count == offered.size() || !is_token(name) || std::find(offered.begin(), end, name) != end) return false;
    offered[count++] = name;
    return true;
  });
  const auto end = offered.begin() + static_cast<std::ptrdiff_t>(count);
  const auto found = std::ranges::find_if(
      spoken, [&](const std::string& name) { return std::find(offered.begin(), end, name) != end; });
  if (found != spoken.end()) chosen = *found;
  return valid;
}

bool choose_extensions(const RequestHead& head, bool compress, Handshake& handshake) {
  std::vector<WebSocketExtension> offers;
  const bool valid = each_value(head, "sec-websocket-extensions",
                                [&](std::string_view field) { return parse_extensions(field, offers); });
  if (!valid || !compress) return valid;
  if (std::optional<DeflateAnswer> answer = accept_deflate(offers)) {
    handshake.deflate = answer->terms;
    handshake.extensions = std::move(answer->field);
  }
  return true;
}

bool may_connect(std::string_view origin, std::string_view host, bool https, const HandshakeRules& rules) {
  if (rules.any_origin || comes_from(origin, host, https)) return true;
  return std::ranges::any_of(
      rules.origins, [&](const std::string& allowed) { return allowed == origin || same_origin(allowed, origin); });
}

Handshake refuse(int status, std::string_view why) { return {.status = status, .refusal = why}; }

// What an extended CONNECT says with its pseudo-fields. The answer is 101 if nothing is wrong.
Handshake check_upgrade(const RequestHead& head) {
  if (!lists(head, "upgrade", "websocket")) {
    return refuse(426, "This resource is a WebSocket; connect to it with a WebSocket client.");
  }
  if (head.method != "GET") return refuse(400, "A WebSocket handshake must be a GET request.");
  if (head.minor_version == 0) return refuse(400, "A WebSocket handshake needs HTTP/1.1.");
  if (!lists(head, "connection", "upgrade")) {
    return refuse(400, "The WebSocket handshake has no \"Connection: Upgrade\".");
  }
  return {};
}

}  // namespace

std::string websocket_accept_key(std::string_view key) {
  std::string text(key);
  text += kKeySuffix;
  std::array<unsigned char, 20> digest{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) != 1 || size != digest.size()) {
    throw std::runtime_error("OpenSSL cannot compute SHA-1, which WebSocket handshakes need");
  }
  return encode_base64({reinterpret_cast<const char*>(digest.data()), digest.size()}, Base64::plain) + "=";
}

Handshake answer_handshake(const RequestHead& head, std::string_view host, bool https, const HandshakeRules& rules) {
  Handshake handshake;
  if (!head.tunnel) handshake = check_upgrade(head);
  if (!handshake.accepted()) return handshake;
  if (head.chunked || head.content_length.value_or(0) != 0) {
    return refuse(400, "A WebSocket handshake must not have a body.");
  }
  const SoleValue version = sole_value(fields_of(head), "sec-websocket-version");
  if (version.count != 1) return refuse(400, "The WebSocket handshake must have one Sec-WebSocket-Version.");
  if (version.value != kVersion) return refuse(426, "Only version 13 of WebSocket is supported.");
  const SoleValue key = sole_value(fields_of(head), "sec-websocket-key");
  if (!head.tunnel && (key.count != 1 || !is_key(key.value))) {
    return refuse(400, "The WebSocket handshake must have one Sec-WebSocket-Key, which is 16 bytes in base64.");
  }
  if (!choose_protocol(head, rules.protocols, handshake.protocol)) {
    return refuse(400, "Sec-WebSocket-Protocol must be a list of up to 64 different tokens.");
  }
  if (!choose_extensions(head, rules.compress, handshake)) {
    return refuse(400, "Sec-WebSocket-Extensions is malformed.");
  }
  const SoleValue origin = sole_value(fields_of(head), "origin");
  if (origin.count > 1) return refuse(400, "The WebSocket handshake has several Origin fields.");
  if (origin.count == 1 && !may_connect(origin.value, host, https, rules)) {
    return refuse(403, "Pages of this origin may not connect to this WebSocket.");
  }
  if (!head.tunnel) handshake.accept_key = websocket_accept_key(key.value);
  return handshake;
}

std::vector<Header> Handshake::fields() const {
  std::vector<Header> fields;
  if (status == 426 || !accept_key.empty()) fields = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  if (status == 426) fields.push_back({"Sec-WebSocket-Version", kVersion});
  if (!accepted()) return fields;
  if (!accept_key.empty()) fields.push_back({"Sec-WebSocket-Accept", accept_key});
  if (!protocol.empty()) fields.push_back({"Sec-WebSocket-Protocol", protocol});
  if (!extensions.empty()) fields.push_back({"Sec-WebSocket-Extensions", extensions});
  return fields;
}

}  // namespace pronghorn::worker
