// The opening handshake of WebSocket. Input: fields, one a line ("Name: value"). The first line is the value of Host.
#include <memory>

#include "fuzz/fuzz_target.h"
#include "worker/fields/characters.h"
#include "worker/fields/origin.h"
#include "worker/fields/text.h"
#include "worker/websocket/handshake/deflate_offer.h"
#include "worker/websocket/handshake/handshake.h"

namespace pronghorn::fuzz::handshake {

namespace {

using worker::Handshake;
using worker::HandshakeRules;

const std::vector<std::string> kProtocols{"chat.v2", "chat.v1"};
const std::vector<std::string> kOrigins{"https://shop.example", "http://[::1]:8080"};

bool is_listed(std::string_view protocol) {
  return protocol.empty() || protocol == kProtocols[0] || protocol == kProtocols[1];
}

void check_answer(const Handshake& handshake) {
  require(handshake.accepted() || handshake.status == 400 || handshake.status == 403 || handshake.status == 426,
          "a handshake is accepted or refused");
  require(handshake.accepted() == handshake.refusal.empty(), "a refusal has a reason");
  require(is_listed(handshake.protocol), "the subprotocol is one of the application's");
  for (const worker::Header& field : handshake.fields()) {
    require(worker::is_token(field.name) && worker::is_field_value(field.value), "no field breaks the response");
  }
  if (!handshake.accepted()) return;
  require(handshake.accept_key.size() == 28, "the answer to a key has 28 characters");
  require(handshake.deflate.has_value() == !handshake.extensions.empty(), "compression is announced");
  if (!handshake.deflate) return;
  require(handshake.deflate->window_bits >= 9 && handshake.deflate->window_bits <= 15, "zlib has such a window");
  require(worker::read_deflate_answer(handshake.extensions).has_value(), "a client accepts the answer");
}

void check_origin(const Handshake& with_rules, const worker::RequestHead& head, std::string_view host) {
  const Handshake any = worker::answer_handshake(head, host, false, {.any_origin = true});
  require(with_rules.status == any.status || with_rules.status == 403, "only its origin refuses a valid handshake");
  const auto origin = head.find("origin");
  if (!origin) return;
  require(worker::is_origin(*origin) || !worker::same_origin(*origin, *origin), "only origins are compared");
  if (worker::comes_from(*origin, host, false)) {
    require(worker::same_origin(*origin, "http://" + std::string(host)), "a page comes from the host that it names");
    require(!worker::comes_from(*origin, host, true), "http is not https");
  }
}

}  // namespace

static void fuzz(std::string_view input) {
  static const auto head = std::make_unique<worker::RequestHead>();
  head->clear();
  head->method = "GET";
  const std::string_view host = take_line(input);
  while (!input.empty() && head->field_count < head->fields.size()) {
    const std::string_view line = take_line(input);
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view value = worker::trim_blanks(line.substr(std::min(colon + 1, line.size())));
    if (!worker::is_token(line.substr(0, colon)) || !worker::is_field_value(value)) continue;  // not from the parser
    head->fields[head->field_count++] = {line.substr(0, colon), value};
  }
  const HandshakeRules rules{.protocols = kProtocols, .origins = kOrigins};
  const Handshake handshake = worker::answer_handshake(*head, host, false, rules);
  check_answer(handshake);
  check_origin(handshake, *head, host);
}

static std::vector<std::string> seeds() {
  const std::string valid =
      "a.example\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n";
  return {valid,
          "a.example\nConnection: keep-alive\n",
          valid + "Origin: http://a.example:80\n",
          valid + "Origin: https://shop.example\n",
          valid + "Origin: null\n",
          "[::1]:8080" + valid.substr(9) + "Origin: http://[::1]:8080\n",
          valid + "Sec-WebSocket-Protocol: chat.v1, other, chat.v2\n",
          valid + "Sec-WebSocket-Protocol: chat, chat\n",
          valid + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\n",
          valid +
              "Sec-WebSocket-Extensions: a; b=\"c\\d\", permessage-deflate; server_max_window_bits=10;"
              " server_no_context_takeover; client_no_context_takeover; client_max_window_bits=\"9\"\n",
          valid + "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8, permessage-deflate\n"};
}

static const Registered kRegistered({"handshake", fuzz, seeds});

}  // namespace pronghorn::fuzz::handshake
