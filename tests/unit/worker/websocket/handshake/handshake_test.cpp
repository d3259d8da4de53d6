#include "worker/websocket/handshake/handshake.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "support/catch.h"
#include "worker/websocket/handshake/deflate_offer.h"

using namespace pronghorn;
using worker::answer_handshake;
using worker::DeflateTerms;
using worker::Handshake;
using worker::HandshakeRules;
using worker::RequestHead;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

const std::string kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // of RFC 6455 section 1.3

Fields valid_fields() {
  return {{"Host", "a.example"},
          {"Upgrade", "websocket"},
          {"Connection", "Upgrade"},
          {"Sec-WebSocket-Key", kKey},
          {"Sec-WebSocket-Version", "13"}};
}

// The fields of a valid handshake without that of a name.
Fields without(std::string_view name) {
  Fields fields = valid_fields();
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  return fields;
}

// With one more field.
Fields with(std::string name, std::string value) {
  Fields fields = valid_fields();
  fields.emplace_back(std::move(name), std::move(value));
  return fields;
}

// With another value of a field.
Fields changed(std::string_view name, std::string value) {
  Fields fields = without(name);
  fields.emplace_back(name, std::move(value));
  return fields;
}

struct Sent {
  std::string method = "GET";
  int minor_version = 1;
  bool chunked = false;
  std::optional<std::uint64_t> content_length = std::nullopt;
  std::string host = "a.example";
  bool https = false;
  bool tunnel = false;  // an extended CONNECT of HTTP/2
};

Handshake answer(const Fields& fields, const HandshakeRules& rules = {}, const Sent& sent = {}) {
  RequestHead head;
  head.method = sent.method;
  head.minor_version = static_cast<std::uint8_t>(sent.minor_version);
  head.chunked = sent.chunked;
  head.tunnel = sent.tunnel;
  head.content_length = sent.content_length;
  for (const auto& [name, value] : fields) head.fields[head.field_count++] = {name, value};
  return answer_handshake(head, sent.host, sent.https, rules);
}

std::map<std::string, std::string> rendered(const Handshake& handshake) {
  std::map<std::string, std::string> fields;
  for (const auto& [name, value] : handshake.fields()) fields.emplace(name, value);
  return fields;
}

std::string extensions_for(const std::string& offer) {
  return answer(with("Sec-WebSocket-Extensions", offer)).extensions;
}

int origin_status(const std::string& origin, const Sent& sent = {}, const HandshakeRules& rules = {}) {
  return answer(with("Origin", origin), rules, sent).status;
}

const std::string kDeflate = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

}  // namespace

TEST_CASE("a valid handshake is accepted with the key of the RFC's example", "[websocket][handshake]") {
  const Handshake handshake = answer(valid_fields());
  CHECK(handshake.accepted());
  CHECK((rendered(handshake) ==
         std::map<std::string, std::string>{{"Upgrade", "websocket"},
                                            {"Connection", "Upgrade"},
                                            {"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}}));
}

TEST_CASE("a handshake over HTTP/2 needs no key and no upgrade, and is checked as others", "[websocket][handshake]") {
  const Sent tunnel{.minor_version = worker::kHttp2, .tunnel = true};
  const Fields fields{{"host", "a.example"}, {"sec-websocket-version", "13"}};
  const auto plus = [&fields](const std::string& name, const std::string& value) {
    Fields more = fields;
    more.emplace_back(name, value);
    return more;
  };
  CHECK(answer(fields, {}, tunnel).accepted());
  CHECK(answer(fields, {}, tunnel).fields().empty());
  CHECK(answer(plus("sec-websocket-key", "anything"), {}, tunnel).fields().empty());
  const std::vector<std::string> spoken{"chat"};
  const Handshake chat = answer(plus("sec-websocket-protocol", "chat"), {.protocols = spoken}, tunnel);
  CHECK((rendered(chat) == std::map<std::string, std::string>{{"Sec-WebSocket-Protocol", "chat"}}));
  CHECK(answer(plus("sec-websocket-extensions", "permessage-deflate"), {}, tunnel).deflate);
  CHECK(answer(plus("origin", "http://a.example"), {}, tunnel).accepted());
  CHECK(answer(plus("origin", "https://evil.example"), {}, tunnel).status == 403);
  CHECK(answer({{"host", "a.example"}}, {}, tunnel).status == 400);
  CHECK(answer({{"host", "a.example"}, {"sec-websocket-version", "8"}}, {}, tunnel).status == 426);
}

TEST_CASE("names and lists of a handshake are read as HTTP says", "[websocket][handshake]") {
  for (const Fields& fields : {changed("Upgrade", "WebSocket"), changed("Upgrade", "h2c, websocket"),
                               changed("Connection", "keep-alive, Upgrade"), changed("Connection", "UPGRADE"),
                               with("Connection", "keep-alive"),
                               Fields{{"upgrade", "websocket"},
                                      {"CONNECTION", "upgrade"},
                                      {"sec-websocket-key", kKey},
                                      {"sec-websocket-version", "13"}}}) {
    CHECK(answer(fields).status == 101);
  }
}

TEST_CASE("a request for no upgrade, or for another version, is told what to send", "[websocket][handshake]") {
  std::vector<Handshake> refused{answer({{"Host", "a"}}),
                                 answer(without("Upgrade")),
                                 answer(changed("Upgrade", "h2c")),
                                 answer(changed("Sec-WebSocket-Version", "8")),
                                 answer(changed("Sec-WebSocket-Version", "14")),
                                 answer({{"Host", "a"}}, {}, {.method = "HEAD"})};
  for (const Handshake& handshake : refused) {
    CHECK(handshake.status == 426);
    CHECK_FALSE(handshake.refusal.empty());
    CHECK((rendered(handshake)["Upgrade"] == "websocket"));
    CHECK((rendered(handshake)["Sec-WebSocket-Version"] == "13"));
  }
}

TEST_CASE("malformed handshakes are refused", "[websocket][handshake]") {
  for (const Fields& fields : {
           without("Connection"),
           changed("Connection", "close"),
           without("Sec-WebSocket-Version"),
           with("Sec-WebSocket-Version", "13"),
           without("Sec-WebSocket-Key"),
           with("Sec-WebSocket-Key", kKey),
           changed("Sec-WebSocket-Key", ""),
           changed("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ"),
           changed("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ==="),
           changed("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j!Q=="),
           changed("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZWE="),
           changed("Sec-WebSocket-Key", kKey + kKey),
           with("Sec-WebSocket-Protocol", "chat, chat"),
           with("Sec-WebSocket-Protocol", "not a token"),
           with("Sec-WebSocket-Extensions", "a=;"),
           with("Sec-WebSocket-Extensions", "a; b=\"c"),
           with("Sec-WebSocket-Extensions", "a b"),
           with("Sec-WebSocket-Extensions", "a; b=\"c d\""),
           with("Sec-WebSocket-Extensions", ";"),
       }) {
    const Handshake handshake = answer(fields);
    CHECK(handshake.status == 400);
    CHECK_FALSE(handshake.refusal.empty());
    CHECK(handshake.fields().empty());
  }
  CHECK(answer(valid_fields(), {}, {.method = "POST"}).status == 400);
  CHECK(answer(valid_fields(), {}, {.minor_version = 0}).status == 400);
  CHECK(answer(valid_fields(), {}, {.chunked = true}).status == 400);
  CHECK(answer(valid_fields(), {}, {.content_length = 5}).status == 400);
  CHECK(answer(valid_fields(), {}, {.content_length = 0}).status == 101);
}

TEST_CASE("the subprotocol is the application's first that the client speaks", "[websocket][handshake]") {
  const std::vector<std::string> spoken{"chat.v2", "chat.v1"};
  const HandshakeRules rules{.protocols = spoken};
  const auto protocol = [&](const std::string& offered) {
    return std::string(answer(with("Sec-WebSocket-Protocol", offered), rules).protocol);
  };
  CHECK(protocol("chat.v1, chat.v2") == "chat.v2");
  CHECK(protocol("chat.v1,other") == "chat.v1");
  CHECK(protocol("other").empty());
  CHECK(protocol("CHAT.v1").empty());
  Fields two = with("Sec-WebSocket-Protocol", "other");
  two.emplace_back("Sec-WebSocket-Protocol", "chat.v1");
  CHECK((rendered(answer(two, rules))["Sec-WebSocket-Protocol"] == "chat.v1"));
  CHECK(answer(valid_fields(), rules).protocol.empty());
  std::string many = "a0";
  for (int i = 1; i < 65; ++i) many += ",a" + std::to_string(i);
  CHECK(answer(with("Sec-WebSocket-Protocol", many), rules).status == 400);
}

TEST_CASE("compression is negotiated without context takeover", "[websocket][handshake][deflate]") {
  CHECK(extensions_for("permessage-deflate") == kDeflate);
  CHECK(extensions_for("permessage-deflate; client_max_window_bits") == kDeflate);  // browsers
  CHECK(extensions_for("permessage-deflate; client_max_window_bits=10; server_no_context_takeover") == kDeflate);
  CHECK(extensions_for("permessage-deflate; server_max_window_bits=9") == kDeflate + "; server_max_window_bits=9");
  CHECK(extensions_for("permessage-deflate; server_max_window_bits=\"15\"") ==
        kDeflate + "; server_max_window_bits=15");
  CHECK(answer(with("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=12")).deflate ==
        DeflateTerms{12});
  CHECK(answer(valid_fields()).deflate == std::nullopt);
  CHECK(answer(with("Sec-WebSocket-Extensions", "permessage-deflate"), {.compress = false}).deflate == std::nullopt);
}

TEST_CASE("an offer that cannot be accepted is declined, and the next one is tried",
          "[websocket][handshake][deflate]") {
  for (const std::string offer :
       {"x-webkit-deflate-frame", "permessage-deflate; unknown", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover"}) {
    INFO(offer);
    CHECK(extensions_for(offer).empty());
    CHECK(answer(with("Sec-WebSocket-Extensions", offer)).status == 101);
    CHECK(extensions_for(offer + ", permessage-deflate") == kDeflate);
  }
  Fields two = with("Sec-WebSocket-Extensions", "foo; bar=\"ba\\z\"");
  two.emplace_back("Sec-WebSocket-Extensions", ", permessage-deflate ,");
  CHECK(answer(two).extensions == kDeflate);
}

TEST_CASE("a client reads the server's answer to its offer", "[websocket][handshake][deflate]") {
  CHECK(worker::read_deflate_answer(extensions_for(std::string(worker::kDeflateOffer))) == DeflateTerms{15});
  CHECK(worker::read_deflate_answer(kDeflate + "; client_max_window_bits=10") == DeflateTerms{10});
  CHECK(worker::read_deflate_answer("permessage-deflate") == std::nullopt);
  CHECK(worker::read_deflate_answer("") == std::nullopt);
}

TEST_CASE("pages of the same origin may connect, and what is no page", "[websocket][handshake][origin]") {
  CHECK(answer(valid_fields()).status == 101);
  CHECK(origin_status("http://a.example") == 101);
  CHECK(origin_status("HTTP://A.Example:80") == 101);
  CHECK(origin_status("http://a.example", {.host = "a.example:80"}) == 101);
  CHECK(origin_status("https://a.example", {.https = true}) == 101);
  CHECK(origin_status("https://a.example:443", {.https = true}) == 101);
  CHECK(origin_status("http://a.example:8080", {.host = "A.example:8080"}) == 101);
  CHECK(origin_status("http://[::1]:8080", {.host = "[::1]:8080"}) == 101);
  CHECK(origin_status("http://[::1]", {.host = "[::1]"}) == 101);
}

TEST_CASE("pages of other origins may not connect", "[websocket][handshake][origin]") {
  for (const std::string origin :
       {"http://b.example", "http://a.example.evil.example", "http://evila.example", "http://a.example:8080",
        "https://a.example", "https://a.example:80", "http://a.example:443", "null", "", "a.example", "http://",
        "http://a.example/", "http://a.example@b.example", "http://a.example, http://b.example", "ws://a.example",
        "file://", "http://a.example:99999", "http://a.example:80x"}) {
    INFO(origin);
    CHECK(origin_status(origin) == 403);
  }
  CHECK(origin_status("http://a.example", {.https = true}) == 403);
  CHECK(origin_status("http://", {.host = ""}) == 403);
  CHECK(origin_status("null", {.host = "null"}) == 403);
  Fields twice = with("Origin", "http://a.example");
  twice.emplace_back("Origin", "http://b.example");
  CHECK(answer(twice).status == 400);
}

TEST_CASE("a route can allow other origins", "[websocket][handshake][origin]") {
  const std::vector<std::string> allowed{"https://shop.example", "null"};
  const HandshakeRules rules{.origins = allowed};
  CHECK(origin_status("https://shop.example:443", {}, rules) == 101);
  CHECK(origin_status("null", {}, rules) == 101);
  CHECK(origin_status("http://a.example", {}, rules) == 101);
  CHECK(origin_status("http://shop.example", {}, rules) == 403);
  CHECK(origin_status("whatever", {}, {.any_origin = true}) == 101);
}
