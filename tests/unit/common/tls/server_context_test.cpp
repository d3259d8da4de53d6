#include "common/tls/server_context.h"

#include <string>
#include <vector>

#include "support/catch.h"
#include "support/tls/issued.h"
#include "support/tls/memory_client.h"
#include "unit/common/tls/test_server.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

std::string refusal(const TlsCredentials& credentials, bool check_dates = true) {
  try {
    const TlsServerContext context(credentials, {.check_dates = check_dates});
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("the certificate is chosen by the name that the client asks for", "[tls]") {
  const Issued first = issue({.names = {"shop.example"}, .common_name = "first"});
  const Issued second = issue({.names = {"blog.example", "*.blog.example"}, .common_name = "second"});
  const TlsServerContext context(credentials_of({file_of(first), file_of(second)}), {});
  const auto server_of = [&](const std::string& name) {
    MemoryClient client({.name = name});
    shake_hands(context, client);
    return client.server();
  };
  CHECK(server_of("shop.example") == "first");
  CHECK(server_of("blog.example") == "second");
  CHECK(server_of("BLOG.example") == "second");
  CHECK(server_of("a.blog.example") == "second");
  CHECK(server_of("a.b.blog.example") == "first");  // a wildcard stands for one label
  CHECK(server_of("unknown.example") == "first");
  CHECK(server_of("") == "first");
}

TEST_CASE("certificates of one name with keys of two kinds stand side by side", "[tls]") {
  const Issued ecdsa = issue({.common_name = "ecdsa"});
  const Issued rsa = issue({.common_name = "rsa", .rsa = true});
  const TlsServerContext context(credentials_of({file_of(ecdsa), file_of(rsa)}), {});
  for (const std::string& name : {std::string("localhost"), std::string()}) {
    MemoryClient modern({.name = name});
    shake_hands(context, modern);
    CHECK(modern.server() == "ecdsa");
    MemoryClient old({.name = name, .signatures = "RSA-PSS+SHA256:RSA+SHA256"});
    shake_hands(context, old);
    CHECK(old.server() == "rsa");
    MemoryClient older({.name = name, .version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"});
    shake_hands(context, older);
    CHECK(older.server() == "rsa");
  }
}

TEST_CASE("versions and ciphers are those of Mozilla's intermediate profile", "[tls]") {
  const Issued ecdsa = issue();
  const Issued rsa = issue({.rsa = true});
  const TlsServerContext context(credentials_of({file_of(ecdsa), file_of(rsa)}), {});
  struct Case {
    int version;
    const char* ciphers;
    const char* result;  // the cipher, or why there is none
  };
  const Case cases[] = {
      {TLS1_3_VERSION, "", "TLS_AES_256_GCM_SHA384"},  // the client's first
      {TLS1_2_VERSION, "", "ECDHE-ECDSA-AES256-GCM-SHA384"},
      {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
      {TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"},
      {TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
      {TLS1_2_VERSION, "AES128-GCM-SHA256", "sslv3 alert handshake failure"},          // no forward secrecy
      {TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256", "sslv3 alert handshake failure"},    // CBC
      {TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA", "sslv3 alert handshake failure"},       // CBC
      {TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256", "sslv3 alert handshake failure"},  // costs the server more
      {TLS1_1_VERSION, "", "tlsv1 alert protocol version"},
      {TLS1_VERSION, "", "tlsv1 alert protocol version"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.version, each.ciphers);
    MemoryClient client({.version = each.version, .ciphers = each.ciphers, .weak = true});
    shake_hands(context, client);
    CHECK((client.failure().empty() ? client.cipher() : client.failure()) == each.result);
  }
}

TEST_CASE("HTTP/2 is offered only when it is asked for, and a client with nothing in common is refused", "[tls]") {
  const Issued issued = issue();
  const auto protocol = [&](bool http2, const std::string& wanted) {
    const TlsServerContext context(credentials_of({file_of(issued)}), {.http2 = http2});
    MemoryClient client({.protocols = wanted});
    shake_hands(context, client);
    return client.failure().empty() ? client.protocol() : client.failure();
  };
  CHECK(protocol(false, "\x02h2\x08http/1.1") == "http/1.1");
  CHECK(protocol(true, "\x08http/1.1\x02h2") == "h2");
  CHECK(protocol(true, "\x08http/1.1") == "http/1.1");
  CHECK(protocol(true, "").empty());
  CHECK(protocol(false, "\x02h2") == "tlsv1 alert no application protocol");
  CHECK(protocol(true, "\x06spdy/3") == "tlsv1 alert no application protocol");
}

TEST_CASE("a session is resumed by any context with the same ticket keys", "[tls]") {
  const Issued issued = issue();
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  CAPTURE(version);
  TicketKeys keys = TicketKeys::create(TicketKeys::now());
  const TlsServerContext one(credentials_of({file_of(issued)}), {.tickets = &keys});
  const TlsServerContext other(credentials_of({file_of(issued)}), {.tickets = &keys});
  MemoryClient first({.version = version});
  shake_hands(one, first);
  REQUIRE(first.session() != nullptr);
  CHECK_FALSE(first.resumed());
  MemoryClient second({.version = version, .session = first.session()});
  shake_hands(other, second);
  CHECK(second.resumed());
  // After the keys were rotated, the ticket still counts, and the client gets one of the new key.
  static_cast<void>(keys.rotate(TicketKeys::now() + kTicketKeyIssues));
  MemoryClient third({.version = version, .session = first.session()});
  shake_hands(other, third);
  CHECK(third.resumed());
  // (Of TLS 1.2 OpenSSL does not tell its user.)
  if (version == TLS1_3_VERSION) CHECK(third.session() != nullptr);
  // Other keys do not open it; that costs a full handshake.
  TicketKeys foreign = TicketKeys::create(TicketKeys::now());
  const TlsServerContext stranger(credentials_of({file_of(issued)}), {.tickets = &foreign});
  MemoryClient fourth({.version = version, .session = first.session()});
  shake_hands(stranger, fourth);
  CHECK(fourth.done());
  CHECK_FALSE(fourth.resumed());
}

TEST_CASE("without ticket keys no session is resumed", "[tls]") {
  const Issued issued = issue();
  const TlsServerContext context(credentials_of({file_of(issued)}), {});
  MemoryClient client;
  shake_hands(context, client);
  CHECK(client.done());
  CHECK(client.session() == nullptr);
}

TEST_CASE("client certificates are not asked for, optional or required", "[tls]") {
  const Issued issued = issue();
  const Issued authority = issue({.names = {}, .common_name = "authority", .authority = true});
  const Issued alice = issue({.names = {}, .common_name = "alice", .issuer = &authority});
  const Issued stranger = issue({.names = {}, .common_name = "stranger"});
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const auto outcome = [&](TlsClientCertificates mode, const Issued* certificate) {
    TlsCredentials credentials = credentials_of({file_of(issued)});
    credentials.client = mode;
    if (mode != TlsClientCertificates::off) credentials.client_ca = authority.certificate;
    const TlsServerContext context(credentials, {});
    MemoryClient client({.version = version, .certificate = certificate});
    shake_hands(context, client);
    return client.failure().empty();
  };
  using enum TlsClientCertificates;
  CHECK(outcome(off, nullptr));
  CHECK(outcome(off, &alice));
  CHECK(outcome(optional, nullptr));
  CHECK(outcome(optional, &alice));
  CHECK_FALSE(outcome(optional, &stranger));
  CHECK_FALSE(outcome(required, nullptr));
  CHECK(outcome(required, &alice));
  CHECK_FALSE(outcome(required, &stranger));
}

TEST_CASE("a session of a client without a certificate is not resumed where one is required", "[tls]") {
  const Issued issued = issue();
  const Issued authority = issue({.names = {}, .authority = true});
  const TicketKeys keys = TicketKeys::create(TicketKeys::now());
  TlsCredentials credentials = credentials_of({file_of(issued)});
  const TlsServerContext open(credentials, {.tickets = &keys});
  MemoryClient first;
  shake_hands(open, first);
  REQUIRE(first.session() != nullptr);
  credentials.client = TlsClientCertificates::required;
  credentials.client_ca = authority.certificate;
  const TlsServerContext closed(credentials, {.tickets = &keys});
  MemoryClient second({.session = first.session()});
  shake_hands(closed, second);
  CHECK_FALSE(second.failure().empty());
}

TEST_CASE("files that cannot be used are refused with their name and the reason", "[tls]") {
  const Issued issued = issue();
  const Issued other = issue();
  TlsCertificate file = file_of(issued, "/etc/tls/shop.pem");
  CHECK(refusal(credentials_of({file})).empty());
  CHECK(refusal(credentials_of({})) == "TLS: there is no certificate");

  TlsCertificate broken = file;
  broken.chain = "hello";
  CHECK(refusal(credentials_of({broken})) ==
        "/etc/tls/shop.pem: no certificate in PEM format; expected the server's certificate, then its issuers");
  broken.chain = issued.certificate.substr(0, issued.certificate.size() / 2);  // while it is being written
  CHECK(refusal(credentials_of({broken})).starts_with("/etc/tls/shop.pem: no certificate in PEM format"));

  broken = file;
  broken.key = other.key;
  CHECK(refusal(credentials_of({broken})) == "/etc/tls/shop.pem: the private key is not that of this certificate");
  broken.key = "hello";
  CHECK(refusal(credentials_of({broken})) == "/etc/tls/shop.pem: its private key is not one in PEM format");
  broken.key =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjP2Jb9wM7QXAICCAAwDAYIKoZIhvcNAgkFADAdBglghkgBZQME\n"
      "ASoEEEPkDe5MxBJ4NGC+vGJDhdIEQKy2n1n0\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n";
  CHECK(refusal(credentials_of({broken})).starts_with("/etc/tls/shop.pem: its private key is "));

  broken = file;
  broken.staple = "not DER";
  CHECK(refusal(credentials_of({broken})) == "/etc/tls/shop.pem: its OCSP response is not one in DER format");

  TlsCredentials credentials = credentials_of({file});
  credentials.client = TlsClientCertificates::optional;
  credentials.client_ca = "hello";
  CHECK(refusal(credentials) == "the certificates of those who sign client certificates are not in PEM format");
}

TEST_CASE("a certificate that is not valid now is refused where its dates are checked", "[tls]") {
  using std::chrono::hours;
  const TlsCertificate expired = file_of(issue({.from = hours(-48), .until = hours(-24)}));
  const TlsCertificate future = file_of(issue({.from = hours(24), .until = hours(48)}));
  CHECK(refusal(credentials_of({expired})).starts_with("a.pem: the certificate expired on 20"));
  CHECK(refusal(credentials_of({future})).starts_with("a.pem: the certificate is not valid before 20"));
  CHECK(refusal(credentials_of({expired}), false).empty());
}
