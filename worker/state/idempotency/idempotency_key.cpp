#include "worker/state/idempotency/idempotency_key.h"

#include <algorithm>

#include "pronghorn/error.h"
#include "pronghorn/hash.h"
#include "worker/exchange/client_identity.h"
#include "worker/exchange/exchange.h"
#include "worker/fields/characters.h"
#include "worker/fields/sole_value.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

constexpr std::string_view kField = "idempotency-key";

bool is_printable(char c) noexcept { return c >= ' ' && c <= '~'; }

// `rest` begins behind the opening quotation mark.
std::optional<std::string> parse_quoted(std::string_view rest) {
  std::string key;
  while (!rest.empty() && rest.front() != '"') {
    if (rest.front() == '\\') {
      rest.remove_prefix(1);
      if (rest.empty() || (rest.front() != '"' && rest.front() != '\\')) return std::nullopt;
    }
    if (!is_printable(rest.front())) return std::nullopt;
    key += rest.front();
    rest.remove_prefix(1);
  }
  if (rest.empty()) return std::nullopt;
  rest = trim_blanks(rest.substr(1));
  if (!rest.empty() && rest.front() != ';') return std::nullopt;
  return key;
}

// With its length, so that no two lists of parts are the same text.
void add_part(Sha256& hash, std::string_view part) {
  hash.update(std::to_string(part.size()) + ":");
  hash.update(part);
}

}  // namespace

std::optional<std::string> parse_idempotency_key(std::string_view value) {
  value = trim_blanks(value);
  std::optional<std::string> key;
  if (value.starts_with('"')) {
    key = parse_quoted(value.substr(1));
  } else if (is_cookie_value(value)) {  // visible characters without '"', '\', ',' and ';'
    key = value;
  }
  if (!key || key->empty() || key->size() > kMaxIdempotencyKey) return std::nullopt;
  return key;
}

std::optional<std::string> idempotency_key(const Request& request) {
  const auto [value, count] = sole_value(request.headers(), kField);
  if (count == 0) return std::nullopt;
  if (count > 1) throw bad_request("Idempotency-Key must occur only once");
  auto key = parse_idempotency_key(value);
  if (!key) throw bad_request("Idempotency-Key must be a string of 1 to 255 visible characters");
  return key;
}

std::string request_fingerprint(const Request& request, std::string_view body) {
  const RequestHead& head = request.exchange().head;
  Sha256 hash;
  add_part(hash, head.path);
  add_part(hash, head.query);
  add_part(hash, request.header("content-type").value_or(""));
  add_part(hash, body);
  return hash.hex();
}

std::string credentials_of(const Request& request, std::string_view session_cookie) {
  Sha256 hash;
  bool any = false;
  const auto add = [&](std::string_view kind, std::string_view value) {
    add_part(hash, kind);
    add_part(hash, value);
    any = true;
  };
  for (const Request::Header& field : request.headers()) {
    if (equal_ignoring_case(field.name, "authorization")) add("authorization", field.value);
  }
  for (const std::string_view cookie : request.cookies(session_cookie)) add("session", cookie);
  const auto* const identity = request.attachment<ClientIdentity>();
  if (identity != nullptr && !identity->token.empty()) add("token", identity->token);
  if (const ClientCertificate* const shown = certificate_of(request)) add("certificate", shown->fingerprint);
  return any ? hash.hex().substr(0, 32) : "-";
}

}  // namespace pronghorn::worker
