// Which versions, ciphers, groups and signatures a server accepts, of all that exist; what testssl and sslscan find out.
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/common/tls/client_hello.h"
#include "unit/common/tls/test_server.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

// Alerts.
constexpr int kHandshakeFailure = 40;
constexpr int kIllegalParameter = 47;
constexpr int kDecodeError = 50;
constexpr int kProtocolVersion = 70;
constexpr int kInappropriateFallback = 86;

// Codes that are no ciphers but say something else.
constexpr int kRenegotiationInfo = 0x00ff;
constexpr int kFallback = 0x5600;

const std::set<int> kEcdsa12{0xc02b, 0xc02c, 0xcca9};  // AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305; all with ECDHE
const std::set<int> kRsa12{0xc02f, 0xc030, 0xcca8};
const std::set<int> kAll13{0x1301, 0x1302, 0x1303};

ServerAnswer ask(const TlsServerContext& context, const ClientHello& hello) {
  TestTlsServer server(context);
  return ServerAnswer::parse(server.answer(hello.bytes()));
}

// All codes from `first` on that the server accepts, of 4,096: a hello with all of them makes it choose one, which the
// next hello leaves out.
void add_accepted(const TlsServerContext& context, ClientHello hello, int first, std::set<int>& accepted) {
  constexpr int kAtOnce = 4096;
  hello.ciphers.resize(kAtOnce);
  std::iota(hello.ciphers.begin(), hello.ciphers.end(), first);
  std::erase(hello.ciphers, kFallback);
  while (true) {
    const ServerAnswer answer = ask(context, hello);
    if (!answer.accepted()) {
      CHECK(answer.alert == kHandshakeFailure);
      return;
    }
    REQUIRE(std::erase(hello.ciphers, answer.cipher) == 1);
    accepted.insert(answer.cipher);
  }
}

std::set<int> accepted_ciphers(const TlsServerContext& context, const ClientHello& hello) {
  std::set<int> accepted;
  for (int first = 0; first < 0x10000; first += 4096) add_accepted(context, hello, first, accepted);
  return accepted;
}

std::set<int> both(std::set<int> some, const std::set<int>& others) {
  some.insert(others.begin(), others.end());
  return some;
}

ClientHello tls13(std::vector<int> ciphers = {0x1301}) { return {.ciphers = std::move(ciphers), .versions = {0x0304}}; }

struct Contexts {
  Issued ecdsa = issue();
  Issued rsa = issue({.rsa = true});
  TlsServerContext with_ecdsa{credentials_of({file_of(ecdsa)}), {}};
  TlsServerContext with_rsa{credentials_of({file_of(rsa)}), {}};
  TlsServerContext with_both{credentials_of({file_of(ecdsa), file_of(rsa)}), {}};
};

}  // namespace

// So no cipher without encryption, authentication or forward secrecy, no RC4, DES, 3DES, CBC or export cipher.
TEST_CASE("of all ciphers that exist only those of Mozilla's intermediate profile are accepted", "[tls]") {
  const Contexts contexts;
  CHECK(accepted_ciphers(contexts.with_ecdsa, {}) == kEcdsa12);
  CHECK(accepted_ciphers(contexts.with_rsa, {}) == kRsa12);
  CHECK(accepted_ciphers(contexts.with_both, {}) == both(kEcdsa12, kRsa12));
  CHECK(accepted_ciphers(contexts.with_both, tls13()) == kAll13);
}

TEST_CASE("of all versions only TLS 1.2 and 1.3 are accepted", "[tls]") {
  const Contexts contexts;
  const std::vector<int> any{0xc02b, 0xc02f, 0x002f, 0x000a, 0x0005, 0xc013, 0xc014, kRenegotiationInfo};
  for (const int version : {0x0300, 0x0301, 0x0302}) {
    CAPTURE(version);
    // OpenSSL, which does not know SSL 3, finds no cipher for it.
    const int refused = version == 0x0300 ? kHandshakeFailure : kProtocolVersion;
    CHECK(ask(contexts.with_both, {.version = version, .ciphers = any}).alert == refused);
    CHECK(ask(contexts.with_both, {.ciphers = any, .versions = {version}}).alert == kProtocolVersion);
  }
  CHECK(ask(contexts.with_both, {.ciphers = any}).version == 0x0303);
  CHECK(ask(contexts.with_both, {.version = 0x0309, .ciphers = any}).version == 0x0303);  // one of the future
  CHECK(ask(contexts.with_both, {.ciphers = {0x1301, 0xc02b}, .versions = {0x0304, 0x0303}}).version == 0x0304);
  // A hello in the format of SSL 2.
  TestTlsServer server(contexts.with_both);
  const std::string ssl2 =
      std::string("\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10\x07\x00\xc0", 14) + std::string(16, 'c');
  CHECK_FALSE(ServerAnswer::parse(server.answer(ssl2)).accepted());
}

TEST_CASE("a client that was talked into an older version is refused", "[tls]") {
  const Contexts contexts;
  CHECK(ask(contexts.with_both, {.ciphers = {0xc02b, kFallback}}).alert == kInappropriateFallback);
}

TEST_CASE("of all groups only X25519, P-256 and P-384 are accepted", "[tls]") {
  const Contexts contexts;
  std::set<int> accepted;
  for (int group = 1; group < 0x0200; ++group) {
    const ServerAnswer answer = ask(contexts.with_rsa, {.ciphers = {0xc02f}, .groups = {group}});
    if (answer.accepted()) accepted.insert(group);
  }
  CHECK(accepted == std::set<int>{29, 23, 24});
}

TEST_CASE("signatures with SHA-1 or MD5 are not made", "[tls]") {
  const Contexts contexts;
  for (const int weak : {0x0101, 0x0201, 0x0102, 0x0202, 0x0103, 0x0203}) {
    CAPTURE(weak);
    CHECK(ask(contexts.with_both, {.ciphers = {0xc02b, 0xc02f}, .signatures = {weak}}).alert == kHandshakeFailure);
    CHECK_FALSE(ask(contexts.with_both, {.ciphers = {0x1301}, .signatures = {weak}, .versions = {0x0304}}).accepted());
  }
}

TEST_CASE("nothing is compressed, and there is no heartbeat", "[tls]") {
  const Contexts contexts;
  const ServerAnswer answer =
      ask(contexts.with_both,
          {.ciphers = {0xc02b, kRenegotiationInfo}, .compressions = std::string("\x01\x40\x00", 3), .heartbeat = true});
  CHECK(answer.compression == 0);
  CHECK_FALSE(answer.extensions.contains(15));
  CHECK(answer.extensions.contains(0xff01));  // renegotiation could not be faked, if there was any
  const int alert = ask(contexts.with_both, {.ciphers = {0xc02b}, .compressions = "\x01"}).alert;
  CHECK((alert == kIllegalParameter || alert == kDecodeError || alert == kHandshakeFailure));
}
